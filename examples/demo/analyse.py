"""Works out every figure of the report from clean.csv, in stages, and writes them to report.json.

Each finished stage adds one line to stages.log: a record from outside that nothing was left out or done twice.
"""
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")   # the matrices are narrow: a second thread only costs
import json
import math
import time

import numpy as np
import pandas as pd

BATCHES, RESAMPLES = 12, 100                     # of the bootstrap: 12 stages of 100 fits
SEED = 1990
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
SEASONS = {12: "winter", 1: "winter", 2: "winter", 3: "spring", 4: "spring", 5: "spring", 6: "summer", 7: "summer", 8: "summer",
           9: "autumn", 10: "autumn", 11: "autumn"}
LEVELS = {                                       # the first of each is what the others are compared with
    "size": ["Small", "Medium", "Large"],
    "phase": ["Approach", "Landing Roll", "Take-off run", "Climb", "Descent"],
    "light": ["Day", "Dawn", "Dusk", "Night"],
    "season": ["summer", "spring", "autumn", "winter"],
    "operator_group": ["Airline", "Business and private", "Military"],
}
stage_number, stages, started = 0, 7 + BATCHES, time.monotonic()


def stage(name):
    global stage_number
    stage_number += 1
    with open("stages.log", "a") as log:
        log.write(f"{stage_number:02d}/{stages} {name}\n")
    print(f"[{stage_number:2d}/{stages}] {name} ({time.monotonic() - started:.1f} s)", flush=True)


def rate(rows):
    """Share of reports with damage, with Wilson's 95% interval."""
    n, hit, z = len(rows), int(rows["damaged"].sum()), 1.96
    if n == 0:
        return {"n": 0, "damaged": 0, "rate": None, "low": None, "high": None}
    p = hit / n
    middle, half = (p + z * z / 2 / n), z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    return {"n": n, "damaged": hit, "rate": p, "low": (middle - half) / (1 + z * z / n), "high": (middle + half) / (1 + z * z / n)}


def by(column, order=None, frame=None):
    frame = data if frame is None else frame
    groups = {key: rows for key, rows in frame.groupby(column)}
    keys = [key for key in (order or sorted(groups)) if key in groups]
    return [{"name": str(key), **rate(groups[key])} for key in keys]


data = pd.read_csv("clean.csv", keep_default_na=False, na_values=[""], parse_dates=["date"])
data["season"] = data["month"].map(SEASONS)
with open("cleaning.json") as file:
    cleaning = json.load(file)
stage(f"read {len(data):,} clean rows")

whole = rate(data)
kept_copies = whole["n"] + cleaning["copies"]
facts = {
    "reports": whole, "rate_with_copies": (whole["damaged"] + cleaning["copies_damaged"]) / kept_copies,
    "airports": int(data["airport"].nunique()), "first": f"{data['date'].min():%Y-%m-%d}", "last": f"{data['date'].max():%Y-%m-%d}",
    "identified": float(data["identified"].mean()), "speed_missing": float(data["speed_knots"].isna().mean()),
    "grades": {name: int(count) for name, count in data["damage_class"].value_counts().items()},
}
stage("overview")

years = by("year")
last_day = data["date"].max()
full = [one for one in years if one["name"] != str(last_day.year) or (last_day.month, last_day.day) >= (12, 28)]
facts["years"], facts["full_years"] = years, [one["name"] for one in full]
stage("years")

months = by("month")
spread = data.groupby("month")["year"].nunique()
for one in months:                               # the last year is cut off: compare months by year seen, not by sum
    number = int(one["name"])
    one.update(name=MONTHS[number - 1], years=int(spread[number]), per_year=one["n"] / int(spread[number]))
facts["months"], facts["seasons"] = months, by("season", ["winter", "spring", "summer", "autumn"])
facts["large_by_month"] = [float(share) for share in data.dropna(subset=["size"]).groupby("month")["size"].agg(lambda size: (size == "Large").mean())]
stage("months and seasons")

facts["size"] = by("size", LEVELS["size"])
facts["phase"] = by("phase", ["Descent", "Climb", "Take-off run", "Approach", "Landing Roll"])
facts["light"] = by("light", ["Dawn", "Day", "Dusk", "Night"])
facts["operators"] = by("operator_group", ["Airline", "Business and private", "Military", "Government"])
stage("size, phase of flight, light, operator")

species = sorted(by("species", frame=data[data["identified"]]), key=lambda one: -one["n"])
least = 25 if sum(one["n"] >= 25 for one in species) >= 5 else 1           # few rows: better a short list than none
facts["species"], facts["species_least"] = [one for one in species if one["n"] >= least][:40], least
stage("species")

bills = data.dropna(subset=["cost_total"]).sort_values("cost_total", ascending=False)
total = float(bills["cost_total"].sum())
running = (bills["cost_total"].cumsum() / total).tolist() if total else []
facts["costs"] = {
    "bills": len(bills), "total": total, "median": float(bills["cost_total"].median()) if total else None, "running": running,
    "half": next((place for place, share in enumerate(running, 1) if share >= 0.5), None),
    "damaged_with_bill": int((data["damaged"] & data["cost_total"].notna()).sum()),
    "dearest": [{"date": f"{row.date:%Y-%m-%d}", "airport": row.airport, "aircraft": row.aircraft, "species": row.species, "phase": row.phase,
                 "cost": float(row.cost_total)} for row in bills.head(10).itertuples()],
}
stage("costs")

# Which of these still count when the others are held equal: a logistic regression, fitted by Newton's method.
rows = data[np.logical_and.reduce([data[column].isin(levels) for column, levels in LEVELS.items()])]
names, columns = ["intercept"], [np.ones(len(rows))]
for column, levels in LEVELS.items():
    for level in levels[1:]:
        names.append(f"{column}: {level}")
        columns.append((rows[column] == level).to_numpy(float))
design, hit = np.column_stack(columns), rows["damaged"].to_numpy(float)
present = design.any(axis=0)


def fit(design, hit):
    beta, ridge = np.zeros(design.shape[1]), 1e-3 * np.eye(design.shape[1])   # the ridge keeps empty groups finite
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        step = np.linalg.solve(design.T @ (design * (p * (1 - p))[:, None]) + ridge, design.T @ (hit - p) - ridge @ beta)
        beta += step
        if np.abs(step).max() < 1e-6:
            break
    return beta


best, draw, samples = fit(design, hit), np.random.default_rng(SEED), []
for batch in range(BATCHES):
    for _ in range(RESAMPLES):
        pick = draw.integers(0, len(rows), len(rows))
        samples.append(fit(design[pick], hit[pick]))
    stage(f"bootstrap, resamples {batch * RESAMPLES + 1} to {(batch + 1) * RESAMPLES}")
low, high = np.percentile(samples, [2.5, 97.5], axis=0)
facts["model"] = {"rows": len(rows), "resamples": len(samples), "terms": [
    {"name": name, "odds": float(np.exp(b)), "low": float(np.exp(lo)), "high": float(np.exp(hi))}
    for name, b, lo, hi, there in zip(names, best, low, high, present) if there and name != "intercept"]}

facts["cleaning"] = cleaning
with open("report.json", "w") as out:
    json.dump(facts, out, indent=1)
peak, worst = max(months, key=lambda one: one["per_year"]), max(months, key=lambda one: one["rate"])
print(f"DAMAGED: {whole['damaged']:,}\nDAMAGE_RATE: {whole['rate']:.1%}\nPEAK_MONTH: {peak['name']}\nWORST_MONTH: {worst['name']}\nWORST_RATE: {worst['rate']:.0%}")
sizes = {one["name"]: one for one in facts["size"]}
for name in ("Large", "Small"):
    print(f"RATE_{name.upper()}: " + (f"{sizes[name]['rate']:.1%}" if name in sizes else "no rows"))
strongest = max((term for term in facts["model"]["terms"] if term["low"] > 1), key=lambda term: term["odds"], default=None)
print("STRONGEST:", f"{strongest['name'].replace('_', ' ').replace(': ', ' ').lower()} ({strongest['odds']:.1f} times)" if strongest else "nothing")
print(f"COST_TOTAL: ${total / 1e6:.1f} million\nBILLS: {len(bills)}\nHALF_OF_COST: {facts['costs']['half'] or 'none'}\nIDENTIFIED: {facts['identified']:.0%}")
