"""Writes report.xlsx: clean data, summary tables that recount themselves from it with formulas, and native charts."""
import json

import pandas as pd
import xlsxwriter

with open("report.json") as file:
    facts = json.load(file)
with open("problems.json") as file:
    problems = json.load(file)
data = pd.read_csv("clean.csv", keep_default_na=False, na_values=[""], parse_dates=["date"])
# Text from outside never becomes a formula or a link.
book = xlsxwriter.Workbook("report.xlsx", {"strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": False})
book.set_properties({"title": "What makes a wildlife strike do damage?", "author": "Thenar, scripted demo",
                     "comments": "Made by a scripted demo, not by a model"})
FONT = {"font_name": "Calibri", "font_size": 11, "font_color": "#1c2733"}
plain, wrap = book.add_format(FONT), book.add_format({**FONT, "text_wrap": True, "valign": "top"})
title = book.add_format({**FONT, "bold": True, "font_size": 18})
soft = book.add_format({**FONT, "font_color": "#5b6773", "text_wrap": True, "valign": "top"})
head = book.add_format({**FONT, "bold": True, "bottom": 1, "font_color": "#5b6773", "valign": "top"})
over = book.add_format({**FONT, "bold": True, "bottom": 1, "font_color": "#5b6773", "valign": "top", "align": "right"})
whole = book.add_format({**FONT, "num_format": "#,##0"})
part, part1 = book.add_format({**FONT, "num_format": "0%"}), book.add_format({**FONT, "num_format": "0.0%"})
dollars, days = book.add_format({**FONT, "num_format": "$#,##0"}), book.add_format({**FONT, "num_format": "yyyy-mm-dd"})
odds = book.add_format({**FONT, "num_format": "0.00"})
COUNTS = ["Reports", "With damage", "Share", "95% from", "95% to"]
RED, BLUE = "#c8500a", "#0072b2"

about, summary = book.add_worksheet("About"), book.add_worksheet("Summary")
months, species = book.add_worksheet("Months"), book.add_worksheet("Species")
model, costs, cleaning = book.add_worksheet("Model"), book.add_worksheet("Dearest"), book.add_worksheet("Cleaning")
clean = book.add_worksheet("Clean data")
for sheet in book.worksheets():
    sheet.hide_gridlines(2)
    sheet.set_landscape()
    sheet.set_paper(9)                           # A4
    sheet.fit_to_pages(1, 0)


def headings(sheet, row, names, numbers=()):
    for place, name in enumerate(names):
        sheet.write(row, place, name, over if name in COUNTS or name in numbers else head)


def counted(sheet, row, column, value, one):
    """Three cells: reports, damaged, share. They are formulas over the clean data, stored with the value they have now."""
    cell = xlsxwriter.utility.xl_rowcol_to_cell
    sheet.write_formula(row, 1, f'=COUNTIFS(Clean[{column}],{value})', whole, one["n"])
    sheet.write_formula(row, 2, f'=COUNTIFS(Clean[{column}],{value},Clean[damaged],TRUE)', whole, one["damaged"])
    sheet.write_formula(row, 3, f"=IF({cell(row, 1)}=0,0,{cell(row, 2)}/{cell(row, 1)})", part1, one["rate"])
    sheet.write(row, 4, one["low"], part1)
    sheet.write(row, 5, one["high"], part1)


about.set_column(0, 0, 22)
about.set_column(1, 1, 88)
about.write(0, 0, "What makes a wildlife strike do damage?", title)
about.write(1, 0, "Made by a scripted demo, not by a model: the steps were written before, each figure was computed in the run.", plain)
for row, (name, text) in enumerate([
        ("Summary", "Share of reports with damage by size, phase of flight, light and operator. Counts are formulas over the clean data."),
        ("Months", "Reports and damage by month, with a chart."), ("Species", "Named species, with a chart."),
        ("Model", "Odds of damage with the rest held equal (logistic regression, bootstrap intervals)."), ("Dearest", "The strikes with the largest recorded cost."),
        ("Cleaning", "What was found in the raw file, and every rule that was applied, with the rows it touched."),
        ("Clean data", f"{len(data):,} reports; an empty cell means not known; source_line is the line in birdstrikes.csv."),
        ("Source", "FAA Wildlife Strike Database, US Federal Aviation Administration (US government, public domain).")], 3):
    about.write(row, 0, name, head)
    about.write(row, 1, text, wrap)

summary.set_column(0, 0, 26)
summary.set_column(1, 5, 12)
row = 0
for heading, key, column in (("Size of the animal", "size", "size"), ("Phase of flight", "phase", "phase"), ("Light", "light", "light"),
                             ("Operator", "operators", "operator_group")):
    headings(summary, row, [heading] + COUNTS)
    for one in facts[key]:
        row += 1
        summary.write(row, 0, one["name"], plain)
        counted(summary, row, column, '"' + one["name"] + '"', one)
    row += 2
summary.write(row, 0, "All reports", head)
summary.write_formula(row, 1, "=ROWS(Clean[damaged])", whole, facts["reports"]["n"])
summary.write_formula(row, 2, "=COUNTIFS(Clean[damaged],TRUE)", whole, facts["reports"]["damaged"])
summary.write_formula(row, 3, f"=C{row + 1}/B{row + 1}", part1, facts["reports"]["rate"])

months.set_column(0, 0, 14)
months.set_column(1, 6, 12)
headings(months, 0, ["Month"] + COUNTS + ["Mean a year"], ["Mean a year"])
numbers = sorted(data["month"].unique())
for row, (number, one) in enumerate(zip(numbers, facts["months"]), 1):
    months.write(row, 0, one["name"], plain)
    counted(months, row, "month", str(number), one)
    months.write(row, 6, one["per_year"], odds)
last = len(facts["months"])
bars = book.add_chart({"type": "column"})
bars.add_series({"name": "Reports, mean of the years", "categories": ["Months", 1, 0, last, 0], "values": ["Months", 1, 6, last, 6], "fill": {"color": BLUE}, "gap": 45})
line = book.add_chart({"type": "line"})
line.add_series({"name": "Share with damage", "categories": ["Months", 1, 0, last, 0], "values": ["Months", 1, 3, last, 3], "y2_axis": True,
                 "line": {"color": RED, "width": 2.25}, "marker": {"type": "circle", "size": 7, "fill": {"color": RED}, "border": {"color": RED}}})
bars.combine(line)
bars.set_title({"name": "Reports, and share with damage", "name_font": {"size": 13, "bold": False, "color": "#1c2733"}, "overlay": False})
bars.set_y_axis({"major_gridlines": {"visible": True, "line": {"color": "#dfe4e8"}}, "line": {"none": True}, "num_format": "0"})
line.set_y2_axis({"num_format": "0%", "min": 0, "line": {"none": True}, "major_gridlines": {"visible": False}})
bars.set_legend({"position": "bottom"})
bars.set_size({"width": 760, "height": 360})
months.insert_chart(last + 2, 0, bars, {"description": "Reports by month as columns, share with damage as a line"})

species.set_column(0, 0, 26)
species.set_column(1, 5, 12)
headings(species, 0, ["Species"] + COUNTS)
ranked = sorted(facts["species"], key=lambda one: -one["rate"])
for row, one in enumerate(ranked, 1):
    species.write(row, 0, one["name"], plain)
    counted(species, row, "species", '"' + one["name"] + '"', one)
if ranked:
    chart = book.add_chart({"type": "bar"})
    chart.add_series({"name": "Share with damage", "categories": ["Species", 1, 0, len(ranked), 0], "values": ["Species", 1, 3, len(ranked), 3],
                      "fill": {"color": RED}, "gap": 40})
    chart.set_y_axis({"reverse": True, "line": {"none": True}})
    chart.set_x_axis({"num_format": "0%", "min": 0, "major_gridlines": {"visible": True, "line": {"color": "#dfe4e8"}}, "label_position": "low"})
    chart.set_title({"name": "Share of strikes with damage", "name_font": {"size": 13, "bold": False, "color": "#1c2733"}})
    chart.set_legend({"none": True})
    chart.set_size({"width": 560, "height": 40 + 24 * len(ranked)})
    species.insert_chart(0, 7, chart, {"description": "Share of strikes with damage by species"})

model.set_column(0, 0, 38)
model.set_column(1, 3, 12)
headings(model, 0, ["Compared with small, approach, day, summer, airline", "Odds, times", "95% from", "95% to"], ["Odds, times"])
for row, term in enumerate(facts["model"]["terms"], 1):
    model.write(row, 0, term["name"].replace("operator_group", "operator"), plain)
    for place, key in enumerate(("odds", "low", "high"), 1):
        model.write(row, place, term[key], odds)

costs.set_column(0, 0, 12)
costs.set_column(1, 4, 30)
headings(costs, 0, ["Day", "Airport", "Aircraft", "Animal", "Phase", "Cost"], ["Cost"])
costs.set_column(5, 5, 14)
for row, one in enumerate(facts["costs"]["dearest"], 1):
    for place, key in enumerate(("date", "airport", "aircraft", "species", "phase")):
        costs.write(row, place, one[key] if isinstance(one[key], str) else "", plain)
    costs.write(row, 5, one["cost"], dollars)

cleaning.set_column(0, 0, 6)
cleaning.set_column(1, 1, 60)
cleaning.set_column(2, 2, 10)
cleaning.set_column(3, 3, 70)
headings(cleaning, 0, ["Rule", "What was done", "Rows", "Why"], ["Rows"])
for row, one in enumerate(facts["cleaning"]["rules"], 1):
    cleaning.write(row, 0, one["rule"], whole)
    cleaning.write(row, 1, one["what"], wrap)
    cleaning.write(row, 2, one["rows"], whole)
    cleaning.write(row, 3, one["why"], soft)
row = len(facts["cleaning"]["rules"]) + 3
headings(cleaning, row, ["", "What was found before cleaning", "Rows", "Column"], ["Rows"])
for row, one in enumerate(problems, row + 1):
    cleaning.write(row, 1, one["what"].strip(), wrap)
    cleaning.write(row, 2, one["rows"], whole)
    cleaning.write(row, 3, one["column"], soft)

names = list(data.columns)
widths = {"airport": 36, "aircraft": 20, "operator": 30, "species": 26, "state": 16, "date": 12, "operator_group": 20}
formats = {"date": days, "cost_other": dollars, "cost_repair": dollars, "cost_total": dollars}
for place, name in enumerate(names):
    clean.set_column(place, place, widths.get(name, 13))
    column = data[name]
    if name == "date":
        column = pd.Series(column.dt.to_pydatetime(), dtype=object)
    write = {"date": clean.write_datetime}.get(name) or (clean.write_boolean if column.dtype == bool else clean.write_number if pd.api.types.is_numeric_dtype(column) else clean.write_string)
    look = formats.get(name)
    missing = data[name].isna().to_numpy()
    for row, (value, empty) in enumerate(zip(column.tolist() if hasattr(column, "tolist") else column, missing), 1):
        if not empty:
            write(row, place, value, look)
clean.add_table(0, 0, len(data), len(names) - 1, {"name": "Clean", "columns": [{"header": name} for name in names], "style": "Table Style Light 1"})
clean.freeze_panes(1, 0)
book.close()
print(f"XLSX_ROWS: {len(data):,}\nXLSX_SHEETS: {len(book.worksheets())}")
