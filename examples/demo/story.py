"""What the report says, as blocks that page.py and paper.py set in type. No figure stands here: each comes from report.json,
and a sentence that claims more, less or most is only said when the data says so."""
import json
from datetime import date
from html import escape

with open("report.json") as file:
    facts = json.load(file)
reports, costs, model, cleaning = facts["reports"], facts["costs"], facts["model"], facts["cleaning"]
terms = {term["name"]: term for term in model["terms"]}
months = sorted(facts["months"], key=lambda one: one["rate"])
calm, worst, peak = months[0], months[-1], max(months, key=lambda one: one["per_year"])
sizes = sorted(facts["size"], key=lambda one: one["rate"])
phases = sorted(facts["phase"], key=lambda one: one["rate"])
species = sorted(facts["species"], key=lambda one: -one["rate"])

BASES = {"size": "small", "phase": "approach", "light": "day", "season": "summer", "operator_group": "an airline"}


def share(value, digits=0):
    return f"{value:.{digits}%}"


def counted(times):
    return "once" if times == 1 else f"{times} times"


def day(text):
    when = date.fromisoformat(text)
    return f"{when.day} {when:%B %Y}"


def money(value):
    return f"${value / 1e6:.1f} million" if value >= 1e6 else f"${value:,.0f}"


def bold(value):
    return f"<b>{value}</b>"


def between(one):
    return f"{share(one['low'])} to {share(one['high'])}"


def odds(name):
    term = terms[name]
    return f"{term['odds']:.1f} times ({term['low']:.1f} to {term['high']:.1f})"


TITLE = "What makes a wildlife strike do damage?"
DECK = (f"{reports['n']:,} reports of animals hit by aircraft at {facts['airports']} US airports, {day(facts['first'])} to {day(facts['last'])}: "
        "which ones do harm, when, and what is known of the cost.")
LABEL = "Made by a scripted demo, not by a model: the steps were written before, each figure was computed in the run."

tiles = [
    (share(reports["rate"], 1), f"of reports had damage: {reports['damaged']:,} of {reports['n']:,}"),
    (f"{share(sizes[-1]['rate'])} : {share(sizes[0]['rate'])}", f"{sizes[-1]['name'].lower()} against {sizes[0]['name'].lower()} animals, share with damage"),
    (share(worst["rate"]), f"in {worst['name']}, the worst month; {share(calm['rate'])} in {calm['name']}"),
]
if costs["half"]:
    tiles.append((f"{costs['half']} of {costs['bills']}", f"recorded bills hold half of the {money(costs['total'])}"))


def months_story():
    apart = worst["rate"] > 1.5 * peak["rate"]
    heading = "The busiest months are not the dangerous ones" if apart else "When strikes happen, and when they do damage"
    text = (f"Most reports come in {bold(peak['name'])} ({peak['per_year']:.0f} in a mean year), but the share with damage is highest in "
            f"{bold(worst['name'])}: {bold(share(worst['rate']))} ({between(worst)}), against {share(peak['rate'])} in {peak['name']}.")
    if worst["name"] == peak["name"]:
        text = f"{bold(peak['name'])} has both the most reports ({peak['per_year']:.0f} in a mean year) and the highest share with damage, {share(worst['rate'])} ({between(worst)})."
    large = dict(zip((one["name"] for one in facts["months"]), facts["large_by_month"]))
    if large[worst["name"]] > large[peak["name"]]:
        text += (f" Part of the reason is size: {share(large[worst['name']])} of the animals of known size in {worst['name']} are large, {share(large[peak['name']])} in {peak['name']}.")
    winter = terms.get("season: winter")
    if winter and winter["low"] > 1:
        text += f" But only part: with size, phase, light and operator held equal, the odds in winter are still {odds('season: winter')} those of summer."
    return heading, text


def groups_story():
    heading = f"{sizes[-1]['name']} animals do damage in {share(sizes[-1]['rate'])} of strikes, {sizes[0]['name'].lower()} ones in {share(sizes[0]['rate'])}"
    often = max(facts["phase"], key=lambda one: one["n"])
    text = (f"Size matters most. The phase of flight comes next: {bold(phases[-1]['name'].lower())} has the highest share, {share(phases[-1]['rate'])}, "
            f"{phases[0]['name'].lower()} the lowest, {share(phases[0]['rate'])}. {often['name']} has the most reports, {often['n']:,}, with damage in {share(often['rate'])}.")
    size_gap, phase_gap = sizes[-1]["rate"] - sizes[0]["rate"], phases[-1]["rate"] - phases[0]["rate"]
    return heading, text if size_gap > phase_gap else text.replace("Size matters most. The phase of flight comes next:", "By phase of flight,")


def model_story():
    if not reports["damaged"]:
        return "With the rest held equal", "No report had damage: there is nothing to compare."
    strongest = max(model["terms"], key=lambda term: term["odds"])
    group, level = strongest["name"].split(": ")
    unsure = [term["name"].split(": ")[1].lower() for term in model["terms"] if term["low"] <= 1 <= term["high"]]
    text = (f"Large birds fly in some seasons and some phases more than in others, so the plain shares mix things up. A logistic regression on the {model['rows']:,} reports "
            f"where all five are known takes them apart. The strongest is {group.replace('_', ' ')}: for <b>{level.lower()}</b> the odds of damage are {bold(odds(strongest['name']))} those for {BASES[group]}.")
    if "operator_group: Business and private" in terms and terms["operator_group: Business and private"]["low"] > 1:
        text += f" Business and private aircraft, mostly smaller, have odds {odds('operator_group: Business and private')} an airline’s."
    if unsure:
        text += f" Grey diamonds mark what this data cannot tell from no difference ({', '.join(unsure)})."
    return "With the rest held equal, " + ("size still counts most" if group == "size" else f"{group.replace('_', ' ')} counts most"), text


def species_story():
    if not species:
        return "Which animals", "No report names a species."
    first, least = species[0], facts["species_least"]
    text = (f"Only {bold(share(facts['identified']))} of the reports name a species. Of the {len(species)} named at least {counted(least)}, <b>{escape(first['name'])}</b> does damage most often: "
            f"{share(first['rate'])} of {first['n']} ({between(first)}).")
    harmless = [escape(one["name"]) for one in species if one["damaged"] == 0]
    if harmless:
        text += f" {', '.join(harmless)}: no damage in {sum(one['n'] for one in species if one['damaged'] == 0)} strikes."
    text += " The lines are wide because the groups are small: neighbours in this list may well change places."
    return "Which animals", text


def costs_story():
    if not costs["half"]:
        return "Cost", "No report holds a cost."
    text = (f"{costs['bills']} reports hold a cost, {bold(money(costs['total']))} together; the median is {money(costs['median'])}. "
            f"The {bold(costs['half'])} dearest make up {share(costs['running'][costs['half'] - 1])} of it. "
            f"Of the {reports['damaged']:,} strikes with damage only {costs['damaged_with_bill']} have a bill ({share(costs['damaged_with_bill'] / max(1, reports['damaged']))}), so the sum is a floor, not an estimate.")
    return "A few bills are most of the money", text


def years_story():
    whole = [one for one in facts["years"] if one["name"] in facts["full_years"]]
    if len(whole) < 4:
        return "Year by year", "There are too few complete years to speak of a trend."
    early, late = whole[:3], whole[-3:]
    before, after = (sum(one["damaged"] for one in part) / sum(one["n"] for one in part) for part in (early, late))
    growth = whole[-1]["n"] / whole[0]["n"] - 1
    text = (f"Reports {'grew' if growth > 0 else 'fell'} by {bold(share(abs(growth)))} from {whole[0]['name']} to {whole[-1]['name']}. "
            f"The share with damage was {share(before, 1)} in the first three complete years and {share(after, 1)} in the last three.")
    rates = sorted(whole, key=lambda one: one["rate"])
    text += f" In between it moves from {share(rates[0]['rate'], 1)} ({rates[0]['name']}) to {share(rates[-1]['rate'], 1)} ({rates[-1]['name']})."
    if growth > 0.3 > 5 * abs(after - before):
        text += " So the growth is in the number of reports, hardly in how often they do harm. Without the number of flights, this cannot tell more strikes from more diligent reporting."
    return ("Many more reports, a share with damage that moves little" if growth > 0.3 > 5 * abs(after - before) else "Year by year"), text


def figure(name, story, alt):
    heading, text = story
    return {"kind": "figure", "name": name, "heading": heading, "text": text, "alt": alt}


def listing(groups, value=lambda one: share(one["rate"])):
    return ", ".join(f"{one['name']} {value(one)}" for one in groups)


figures = [
    figure("months", months_story(), "Two charts over the months. Share of reports with damage: " + listing(facts["months"])),
    figure("groups", groups_story(), "Share of reports with damage. " + listing(facts["size"] + facts["phase"] + facts["light"])),
    figure("model", model_story(), "Odds of damage with the rest held equal. " + listing(model["terms"], lambda term: f"times {term['odds']:.1f}")),
    figure("species", species_story(), "Share of strikes with damage by species. " + listing(species)),
    figure("costs", costs_story(), f"Share of all recorded cost, the dearest bills first: half is reached at bill {costs['half']} of {costs['bills']}."),
    figure("years", years_story(), "Two charts over the years. Reports: " + listing(facts["years"], lambda one: f"{one['n']:,}")),
]

kept_change = abs(facts["rate_with_copies"] - reports["rate"])
limits = [
    "<b>No flights are counted.</b> The file has strikes only, so it says how often a strike does damage, never how often a flight meets one.",
    f"<b>Reporting was voluntary</b> in these years, and a strike that did nothing is the easiest not to report: the true share with damage is probably lower than {share(reports['rate'], 1)}.",
    f"<b>It is an extract:</b> {cleaning['rows_read'] - cleaning['rows_late']:,} rows from {facts['airports']} airports, ending on {day(facts['last'])}. How the airports were chosen is not documented. The last year is not complete, so months are compared per year seen.",
    f"<b>{share(1 - facts['identified'])} of the animals are not identified;</b> their size is known in words only (small, medium, large). What is said of species holds for the named ones only.",
    f"<b>Costs are missing in {share(1 - costs['bills'] / reports['n'])} of the rows.</b> They are in the source’s dollars, which look adjusted for inflation; the year of reference is not given.",
    f"<b>Speed is missing in {share(facts['speed_missing'])}</b> and was left out of the comparison rather than guessed.",
    f"<b>Copies:</b> {cleaning['copies']} exact copies were removed. Had they been kept, the share with damage would be {share(facts['rate_with_copies'], 2)} instead of {share(reports['rate'], 2)}"
    + (": it makes no difference." if kept_change < 0.001 else "."),
    "<b>Held equal is not cause.</b> The comparison describes these reports; what was not recorded (altitude, number of birds, aircraft weight) can stand behind any of it.",
]
method = [
    f"Shares have Wilson’s 95% interval. Odds come from a logistic regression (Newton’s method, a ridge of 0.001); their intervals are the 2.5 and 97.5 percentiles of {model['resamples']:,} bootstrap resamples with a fixed seed, so that the same data gives the same report to the digit.",
    "Damage means any damage class but “None”. Seasons are calendar months: winter is December to February. "
    f"A species is shown if it is named at least {counted(facts['species_least'])}.",
    "Every row of the spreadsheet’s sheet “Clean data” names its line in birdstrikes.csv. All figures of this report are in report.json.",
]
sources = [
    "Data: FAA Wildlife Strike Database, US Federal Aviation Administration; a work of the US government, in the public domain. The extract is birdstrikes.csv of the package vega-datasets 3.2.1.",
    f"A second file, late-reports.csv, held {cleaning['rows_late']} row, planted for the demo. {cleaning['aside']} row was not a report: where the species should stand it had a sentence addressed to an AI assistant. It was set aside and is in no figure.",
]
