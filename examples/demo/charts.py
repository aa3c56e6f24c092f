"""Draws the charts of the report: each as SVG for the page (wide and narrow) and as PDF for print, from report.json."""
import json
import os
import re

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, PercentFormatter

# Okabe and Ito's colours, which people with any common colour blindness can tell apart. The page swaps them in the dark.
INK, SOFT, RULE, BLUE, RED, PALE, PAGE = "#1c2733", "#5b6773", "#dfe4e8", "#0072b2", "#c8500a", "#a9c9de", "#fffffe"
OVER = {"boxstyle": "square,pad=0.12", "facecolor": PAGE, "edgecolor": "none"}   # keeps words readable across grid lines
plt.rcParams.update({
    "font.family": "Source Sans Pro", "font.size": 10.5, "text.color": INK, "axes.labelcolor": SOFT, "xtick.color": SOFT, "ytick.color": SOFT,
    "axes.edgecolor": RULE, "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False, "axes.axisbelow": True,
    "axes.grid": True, "grid.color": RULE, "grid.linewidth": 0.8, "xtick.major.size": 0, "ytick.major.size": 0, "axes.titlesize": 10.5,
    "axes.titlelocation": "left", "axes.titlecolor": SOFT, "axes.titlepad": 8, "figure.facecolor": "none", "axes.facecolor": "none",
    "svg.fonttype": "none", "text.parse_math": False, "pdf.fonttype": 42, "hatch.linewidth": 0.8})
with open("report.json") as file:
    facts = json.load(file)
os.makedirs("charts", exist_ok=True)
percent = PercentFormatter(1, decimals=0)


def inline(svg, name):
    """An SVG that can stand in a page: no header, no fixed size, no ids but the needed ones, colours as variables of the page."""
    svg = svg[svg.index("<svg"):]
    box = re.search(r'viewBox="([^"]+)"', svg).group(1)
    svg = re.sub(r"<svg[^>]*>", f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}">', svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r'<g id="[^"]*"(/?)>', r"<g\1>", svg).replace("<g/>", "")
    for label, colour in (("ink", INK), ("soft", SOFT), ("rule", RULE), ("blue", BLUE), ("red", RED), ("pale", PALE), ("page", PAGE)):
        svg = svg.replace(colour, f"var(--{label})")
    svg = re.sub(r"font(-family)?: *([0-9.]+px )?'Source Sans Pro'[^;\"]*", lambda m: f"font: {m.group(2)}var(--sans)" if m.group(2) else "font-family: var(--sans)", svg)
    return re.sub(r"\s*\n\s*", " ", svg).strip()


def draw(name, plot, wide=(7.2, 3.5), narrow=(3.7, 3.9)):
    for kind, size in (("wide", wide), ("narrow", narrow)):
        plt.rcParams["svg.hashsalt"] = f"{name}-{kind}"
        figure = plt.figure(figsize=size, layout="constrained")
        plot(figure, kind == "narrow")
        path = f"charts/{name}-{kind}.svg"
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        with open(path) as file:
            svg = inline(file.read(), f"{name}-{kind}")
        with open(path, "w") as file:
            file.write(svg)
        if kind == "wide":
            figure.savefig(f"charts/{name}.pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
        plt.close(figure)
    print(f"  charts/{name}", flush=True)


def whiskers(axes, places, groups, colour, vertical=False):
    """A dot for the share and a line for its 95% interval."""
    for place, one in zip(places, groups):
        ends, spots = [one["low"], one["high"]], [place, place]
        axes.plot(*((spots, ends) if vertical else (ends, spots)), color=colour, linewidth=2.2, alpha=0.45, solid_capstyle="round")
    rates = [one["rate"] for one in groups]
    axes.plot(*((places, rates) if vertical else (rates, places)), "o", color=colour, markersize=6.5)


def top(groups):
    return max((one["high"] for one in groups), default=1) * 1.12


def two_panels(figure, narrow, groups, counts, labels, pale):
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1, 1]})
    places = range(len(groups))
    bars = upper.bar(places, counts, color=BLUE, width=0.72)
    for place in pale:
        bars[place].set(facecolor=PALE)
    upper.grid(axis="x", visible=False)
    lower.grid(axis="x", visible=False)
    whiskers(lower, places, groups, RED, vertical=True)
    lower.axhline(facts["reports"]["rate"], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    lower.set(ylim=(0, top(groups)), title="Share of reports with damage, with 95% interval; dashed: all reports" if not narrow else "Share with damage, 95% interval")
    lower.yaxis.set_major_formatter(percent)
    step = 2 if narrow and len(groups) > 12 else 1
    lower.set_xticks(list(places)[::step], [label for label in labels][::step])
    return upper


def plot_months(figure, narrow):
    months = facts["months"]
    labels = [one["name"][0 if narrow else slice(0, 3)] for one in months]
    two_panels(figure, narrow, months, [one["per_year"] for one in months], labels, []).set_title("Reports in the month, mean of the years")


def plot_years(figure, narrow):
    years = facts["years"]
    partial = [place for place, one in enumerate(years) if one["name"] not in facts["full_years"]]
    labels = [f"’{one['name'][2:]}" for one in years]
    axes = two_panels(figure, narrow, years, [one["n"] for one in years], labels, partial)
    axes.set_title("Reports in the year" + ("; pale: year not complete" if partial else ""))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def plot_groups(figure, narrow):
    axes, place, ticks, labels = figure.subplots(), 0, [], []
    for heading, key in (("Size of the animal", "size"), ("Phase of flight", "phase"), ("Light", "light")):
        axes.text(0, place, heading, transform=axes.get_yaxis_transform(), va="center", ha="left", color=SOFT, fontsize=10, bbox=OVER)
        place += 1
        groups = sorted(facts[key], key=lambda one: -one["rate"])
        places = [place + number for number in range(len(groups))]
        whiskers(axes, places, groups, RED)
        for where, one in zip(places, groups):
            axes.text(one["high"] + 0.008, where, f"{one['rate']:.0%}" + ("" if narrow else f" of {one['n']:,}"), va="center", color=INK, fontsize=9.5, bbox=OVER)
            ticks.append(where)
            labels.append(one["name"].replace("Landing Roll", "Landing roll"))
        place += len(groups) + 0.4
    axes.set_yticks(ticks, labels, color=INK)
    axes.set(ylim=(place - 0.2, -0.7), xlim=(0, top(facts["size"] + facts["phase"]) * 1.06))
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(percent)


def plot_model(figure, narrow):
    axes, place, ticks, labels = figure.subplots(), 0, [], []
    headings = {"size": ("Size", "small"), "phase": ("Phase", "approach"), "light": ("Light", "day"), "season": ("Season", "summer"),
                "operator_group": ("Operator", "airline")}
    seen = None
    for term in facts["model"]["terms"]:
        group, level = term["name"].split(": ")
        if group != seen:
            place += 0.5 if seen else 0
            heading, base = headings[group]
            axes.text(0, place, f"{heading}, against {base}", transform=axes.get_yaxis_transform(), va="center", ha="left", color=SOFT, fontsize=10, bbox=OVER)
            place, seen = place + 1, group
        sure = term["low"] > 1 or term["high"] < 1
        colour = RED if sure and term["odds"] > 1 else BLUE if sure else SOFT
        axes.plot([term["low"], term["high"]], [place, place], color=colour, linewidth=2.2, alpha=0.45, solid_capstyle="round")
        axes.plot([term["odds"]], [place], "o" if sure else "D", color=colour, markersize=6.5 if sure else 5)
        axes.text(term["high"] * 1.07, place, f"×{term['odds']:.1f}", va="center", color=INK, fontsize=9.5, bbox=OVER)
        ticks.append(place)
        labels.append(level.capitalize() if not narrow else level.capitalize().replace("Business and private", "Business"))
        place += 1
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_xscale("log")
    highest, lowest = max(term["high"] for term in facts["model"]["terms"]), min(term["low"] for term in facts["model"]["terms"])
    marks = [mark for mark in (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64) if lowest * 0.8 <= mark <= highest * 1.3]
    axes.set_xticks(marks, [f"{mark:g}×" for mark in marks])
    axes.minorticks_off()
    axes.set_yticks(ticks, labels, color=INK)
    axes.set(ylim=(place - 0.2, -0.7), xlim=(min(0.4, lowest * 0.9), highest * (1.5 if not narrow else 1.9)))
    axes.grid(axis="y", visible=False)


def plot_species(figure, narrow):
    species = sorted(facts["species"], key=lambda one: (-one["rate"], one["name"]))
    species = species[:14] if len(species) <= 16 else species[:9] + species[-5:]
    axes, places = figure.subplots(), range(len(species))
    whiskers(axes, places, species, RED)
    for place, one in zip(places, species):
        axes.text(one["high"] + 0.01, place, f"{one['rate']:.0%}" + ("" if narrow else f" of {one['n']}"), va="center", color=INK, fontsize=9.5, bbox=OVER)
    axes.axvline(facts["reports"]["rate"], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_yticks(places, [one["name"] for one in species], color=INK)
    axes.set(ylim=(len(species) - 0.4, -0.6), xlim=(0, top(species) * 1.05))
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(percent)


def plot_costs(figure, narrow):
    axes, running = figure.subplots(), facts["costs"]["running"]
    axes.fill_between(range(1, len(running) + 1), running, color=BLUE, alpha=0.14, linewidth=0, step=None)
    axes.plot(range(1, len(running) + 1), running, color=BLUE, linewidth=2.4)
    half = facts["costs"]["half"]
    if half:
        axes.plot([half], [running[half - 1]], "o", color=RED, markersize=7.5)
        text = f"{half} of {len(running)} bills\nmake up {running[half - 1]:.0%}"
        axes.annotate(text, (half, running[half - 1]), (half + len(running) * 0.07, running[half - 1] - 0.16), color=INK,
                      arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.8})
    axes.set(xlim=(1, max(2, len(running))), ylim=(0, 1.02), xlabel="Bills, the dearest first", title="Share of all recorded cost")
    axes.yaxis.set_major_formatter(percent)


draw("months", plot_months, (7.2, 3.9), (3.7, 4.2))
draw("groups", plot_groups, (7.2, 3.8), (3.7, 4.8))
draw("model", plot_model, (7.2, 4.6), (3.7, 5.6))
draw("species", plot_species, (7.2, 4.1), (3.7, 4.6))
draw("costs", plot_costs, (7.2, 3.0), (3.7, 3.2))
draw("years", plot_years, (7.2, 3.9), (3.7, 4.2))
print("CHARTS: 6")
