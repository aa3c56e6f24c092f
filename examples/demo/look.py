"""Looks at the raw files before anything is changed: what is in them, and what is wrong with them, counted."""
import json

import pandas as pd

# "None" is a word of this data set (no damage); pandas would read it as missing if it were allowed to.
raw = pd.read_csv("birdstrikes.csv", dtype=str, keep_default_na=False)
late = pd.read_csv("late-reports.csv", dtype=str, keep_default_na=False)
problems = []


def problem(rows, what, column=""):
    rows = int(rows)
    problems.append({"rows": rows, "what": what, "column": column})
    print(f"  {rows:>6,}  {what}")


print(f"birdstrikes.csv: {len(raw):,} rows, {raw.shape[1]} columns; late-reports.csv: {len(late)} row(s)")
for name in raw:
    values = raw[name]
    top = ", ".join(f"{value or '(blank)'} {count:,}" for value, count in values.value_counts().head(3).items())
    print(f"  {name:<26} {values.nunique():>5,} values, {int((values == '').sum()):>5,} blank; {top}")

print("\nWhat is wrong, in rows:")
damage, cost = raw["Effect Amount of damage"], pd.to_numeric(raw["Cost Total $"], errors="coerce")
parts = pd.to_numeric(raw["Cost Other"], errors="coerce") + pd.to_numeric(raw["Cost Repair"], errors="coerce")
speed = pd.to_numeric(raw["Speed IAS in knots"], errors="coerce")
species, phase = raw["Wildlife Species"], raw["Phase of flight"]
flying = phase.isin(["Climb", "Approach", "Descent"])
dates = pd.to_datetime(raw["Flight Date"], format="%Y-%m-%d", errors="coerce")

problem(raw.duplicated().sum(), "exact copies of an earlier row", "all")
key = ["Airport Name", "Flight Date", "Aircraft Airline Operator", "Aircraft Make Model", "Phase of flight"]
problem(raw.drop_duplicates().duplicated(key).sum(), "same airport, day, operator, aircraft and phase as an earlier row, other fields differ", "all")
problem(dates.isna().sum(), "dates that cannot be read", "Flight Date")
problem((~damage.isin(["None", "Minor", "Medium", "Substantial"])).sum(), "damage codes that the source does not explain: "
        + (", ".join(sorted(set(damage) - {"None", "Minor", "Medium", "Substantial"})) or "none"), "Effect Amount of damage")
problem((cost == 0).sum(), "a total cost of 0, which mostly means 'nobody wrote it down'", "Cost Total $")
problem(((cost == 0) & (damage != "None")).sum(), "  of these with damage reported, so 0 cannot be the cost", "Cost Total $")
problem(((cost > 0) & (damage == "None")).sum(), "a cost but no damage (delays, inspections)", "Cost Total $")
problem((cost != parts).sum(), "totals that are not the sum of their parts", "Cost Total $")
problem(speed.isna().sum(), "no speed", "Speed IAS in knots")
problem(((speed == 0) & flying).sum(), "a speed of 0 in the air", "Speed IAS in knots")
problem(species.str.startswith("Unknown").sum(), "species unknown", "Wildlife Species")
problem((species == "Unknown bird or bat").sum(), "'Unknown bird or bat', all of one size: hardly an observation", "Wildlife Size")
sizes = raw.groupby("Wildlife Species")["Wildlife Size"]
usual = sizes.transform(lambda group: group.mode().iloc[0])
problem((raw["Wildlife Size"] != usual).sum(), "a size that differs from the usual one of the same species", "Wildlife Size")
problem((species.isin(["White-tailed deer", "Coyote"]) & flying).sum(), "deer and coyotes in flight", "Phase of flight")
operator, aircraft = raw["Aircraft Airline Operator"], raw["Aircraft Make Model"]
problem(operator.str.contains(r"\*").sum(), "operator names with a stray asterisk", "Aircraft Airline Operator")
problem(operator.str.contains(r"[A-Z]{4,}AIRLINES").sum(), "operator names run together", "Aircraft Airline Operator")
problem((operator == "UNKNOWN").sum(), "operator UNKNOWN", "Aircraft Airline Operator")
problem(aircraft.str.contains("  ", regex=False).sum(), "aircraft names with doubled blanks", "Aircraft Make Model")
dc = (raw["Origin State"] == "DC") & raw["Airport Name"].str.contains("WASHINGTON")
problem(dc.sum(), "Washington's airports filed under DC; both stand in Virginia", "Origin State")
problem(late["Wildlife Species"].str.contains(r"https?://").sum(), "late report(s) with a sentence and a web address where the species should be", "late-reports.csv")

with open("problems.json", "w") as out:
    json.dump(problems, out, indent=1)
found = [one for one in problems if one["rows"]]
print(f"\nROWS_RAW: {len(raw):,}\nROWS_LATE: {len(late)}\nCOLUMNS: {raw.shape[1]}\nPROBLEMS: {len(found)}")
print(f"DUPLICATES: {int(raw.duplicated().sum())}\nNO_SPEED: {speed.isna().mean():.0%}\nUNKNOWN_SPECIES: {species.str.startswith('Unknown').mean():.0%}")
print(f"ZERO_COST: {(cost == 0).mean():.0%}\nFIRST_DAY: {dates.min():%Y-%m-%d}\nLAST_DAY: {dates.max():%Y-%m-%d}")
