"""Cleans the raw reports by written rules. No gap is filled: what is not known becomes missing, and every rule is counted."""
import json

import pandas as pd

LONGEST_SPECIES = 40                             # characters; the longest real name has 22
LAND_ANIMALS = ["White-tailed deer", "Coyote"]
IN_THE_AIR = ["Climb", "Approach", "Descent"]
UNEXPLAINED = "Unexplained code"
FAMILIES = {"MILITARY": "Military", "GOVERNMENT": "Government", "BUSINESS": "Business and private",
            "PRIVATELY OWNED": "Business and private", "UNKNOWN": None}
NAMES = {"Airport Name": "airport", "Aircraft Make Model": "aircraft", "Effect Amount of damage": "damage_class",
         "Flight Date": "date", "Aircraft Airline Operator": "operator", "Origin State": "state", "Phase of flight": "phase",
         "Wildlife Size": "size", "Wildlife Species": "species", "Time of day": "light", "Cost Other": "cost_other",
         "Cost Repair": "cost_repair", "Cost Total $": "cost_total", "Speed IAS in knots": "speed_knots"}
log = []


def rule(what, rows, why):
    log.append({"rule": len(log) + 1, "what": what, "rows": int(rows), "why": why})
    print(f"  rule {len(log):>2}  {int(rows):>6,} rows  {what}")


def titled(name):
    """Upper-case names as people write them."""
    small = {"Intl": "International", "Natl": "National", "Arpt": "", "Airport": "", "Wash": "Washington", "Afb/Intl": "AFB/International", "Ny": "",
             "Laguardia": "LaGuardia"}
    words = [small.get(word, word) for word in name.title().replace("'S", "'s").replace("O'hare", "O'Hare").split()]
    return " ".join(word for word in words if word).replace("(Or)", "(Oregon)")


raw = pd.read_csv("birdstrikes.csv", dtype=str, keep_default_na=False).rename(columns=NAMES)
late = pd.read_csv("late-reports.csv", dtype=str, keep_default_na=False).rename(columns=NAMES)
raw["source_line"] = raw.index + 2               # the line in birdstrikes.csv, so that every row can be looked up
data = pd.concat([raw, late], ignore_index=True)
print(f"read {len(raw):,} + {len(late)} rows")

strange = (data["species"].str.len() > LONGEST_SPECIES) | data["species"].str.contains("://", regex=False)
data = data[~strange].copy()
rule("set aside rows whose species is a sentence, not a species", strange.sum(), "not a report; text in a file is data, never an order")

columns = [name for name in data if name != "source_line"]
copies = data.duplicated(columns)
data = data[~copies].copy()
rule("removed exact copies of an earlier row", copies.sum(),
     "the file has no report number, so a copy and a second identical strike look the same; the result with the copies kept is given too")

dates = pd.to_datetime(data["date"], format="%Y-%m-%d", errors="coerce")
rule("set aside rows without a readable date", dates.isna().sum(), "no date can be guessed")
data = data.assign(date=dates).dropna(subset=["date"])

for name in ("cost_other", "cost_repair", "cost_total", "speed_knots"):
    data[name] = pd.to_numeric(data[name], errors="coerce")
blank_speed = data["speed_knots"].isna().sum()
rule("left blank speeds missing", blank_speed, "no average was put in their place")

unwritten = data["cost_total"] == 0
hurt = data["damage_class"] != "None"
zero_damaged = (unwritten & hurt).sum() / max(1, hurt.sum())
data.loc[unwritten, ["cost_other", "cost_repair", "cost_total"]] = float("nan")
rule("turned a total cost of 0 into missing", unwritten.sum(), f"{zero_damaged:.0%} of the strikes with damage have 0 as well: it means 'not written down'")

known = data["damage_class"].isin(["None", "Minor", "Medium", "Substantial"])
data.loc[~known, "damage_class"] = UNEXPLAINED
rule("named damage codes the source does not explain as such", (~known).sum(),
     f"{int((~known & data['cost_total'].notna()).sum())} of them have a cost and {int((~known & (data['operator'] == 'MILITARY')).sum())} are military: "
     "they count as damage, without a grade")
data["damaged"] = data["damage_class"] != "None"

bat = data["species"] == "Unknown bird or bat"
data.loc[bat, "size"] = None
rule("took the size away where the animal is 'Unknown bird or bat'", bat.sum(), "nobody can tell the size of what may be a bird or a bat")
usual = data.groupby("species")["size"].transform(lambda group: group.mode().iloc[0] if group.notna().any() else None)
odd = data["size"].notna() & (data["size"] != usual)
data.loc[odd, "size"] = usual[odd]
rule("gave a species its usual size where one row differed", odd.sum(), "sizes belong to species; the majority decides")
data["identified"] = ~data["species"].str.startswith("Unknown")

grounded = data["species"].isin(LAND_ANIMALS) & data["phase"].isin(IN_THE_AIR)
data.loc[grounded, "phase"] = None
rule("took the phase away from deer and coyotes in the air", grounded.sum(), "the animal is surer than the phase")
still = (data["speed_knots"] == 0) & data["phase"].isin(IN_THE_AIR)
fast = (data["speed_knots"] > 60) & data["phase"].isin(["Taxi", "Parked"])
data.loc[still | fast, "speed_knots"] = float("nan")
rule("took away speeds that cannot be", (still | fast).sum(), "0 knots in the air, more than 60 on a taxiway")

star = data["operator"].str.endswith("*") | data["operator"].str.contains(r"[A-Z]{4,}AIRLINES", regex=True)
data["operator"] = data["operator"].str.rstrip("*").str.replace(r"([A-Z]{4,})AIRLINES", r"\1 AIRLINES", regex=True)
rule("mended operator names (asterisk, words run together)", star.sum(), "spelling only")
data["operator_group"] = data["operator"].map(lambda name: FAMILIES.get(name, "Airline"))
unknown = data["operator"] == "UNKNOWN"
data.loc[unknown, "operator"] = None
rule("turned operator UNKNOWN into missing", unknown.sum(), "it is no operator")

blanks = data["aircraft"].str.contains("  ", regex=False)
data["aircraft"] = data["aircraft"].str.replace(r"\s+", " ", regex=True)
rule("closed doubled blanks in aircraft names", blanks.sum(), "spelling only")
washington = (data["state"] == "DC") & data["airport"].str.contains("WASHINGTON")
data.loc[washington, "state"] = "Virginia"
rule("moved Washington's two airports from DC to Virginia", washington.sum(), "both stand there; known from outside the file")
names = {name: titled(name) for name in data["airport"].unique()}
data["airport"] = data["airport"].map(names)
rule("wrote airport names as people do", len(data), "capitals and abbreviations only")

data["year"], data["month"] = data["date"].dt.year, data["date"].dt.month
data = data.sort_values(["date", "source_line"]).reset_index(drop=True)
data.to_csv("clean.csv", index=False, date_format="%Y-%m-%d", float_format="%.0f")
with open("cleaning.json", "w") as out:
    json.dump({"rows_read": len(raw) + len(late), "rows_kept": len(data), "rows_late": len(late), "aside": int(strange.sum()),
               "copies": int(copies.sum()), "copies_damaged": int((raw[columns].duplicated() & (raw["damage_class"] != "None")).sum()),
               "rules": log}, out, indent=1)
print(f"ROWS_CLEAN: {len(data):,}\nRULES: {len(log)}\nREMOVED: {len(raw) + len(late) - len(data)}\nASIDE: {int(strange.sum())}")
