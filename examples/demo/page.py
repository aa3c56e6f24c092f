"""Sets the story as one self-contained page: no script, nothing loaded, light and dark, phone and paper."""
import html

import story
from story import cleaning, costs, money

STYLE = """
:root { --page:#fffffe; --ink:#1c2733; --soft:#5b6773; --rule:#dfe4e8; --blue:#0072b2; --red:#c8500a; --pale:#a9c9de; --wash:#f4f6f7;
  --sans:"Source Sans 3","Source Sans Pro",system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
  --serif:"Source Serif 4","Source Serif Pro",Charter,"Iowan Old Style",Georgia,"Noto Serif",serif; color-scheme:light dark }
@media (prefers-color-scheme:dark) { :root { --page:#14191f; --ink:#e6eaee; --soft:#9aa6b2; --rule:#2b343d; --blue:#56b4e9; --red:#ff9248; --pale:#2f5873; --wash:#1b222a } }
* { box-sizing:border-box }
body { margin:0; background:var(--page); color:var(--ink); font:1.0625rem/1.6 var(--sans); -webkit-text-size-adjust:100% }
main { max-width:45rem; margin:0 auto; padding:clamp(1.5rem,5vw,4rem) 1.25rem 3rem }
.label { font-size:.875rem; line-height:1.45; color:var(--soft); border-left:3px solid var(--red); padding:.1rem 0 .1rem .75rem; margin:0 0 2rem }
h1 { font:600 clamp(2rem,6.5vw,3.1rem)/1.1 var(--serif); letter-spacing:-.015em; margin:0 0 1rem; text-wrap:balance }
.deck { font:400 1.2rem/1.5 var(--serif); color:var(--soft); margin:0 0 2rem; text-wrap:pretty }
h2 { font:600 1.6rem/1.2 var(--serif); letter-spacing:-.01em; margin:3.5rem 0 .75rem; text-wrap:balance }
h3 { font:600 1.3rem/1.25 var(--serif); margin:3rem 0 .5rem; text-wrap:balance }
h2 + section h3 { margin-top:1.5rem }
p { margin:.5rem 0 1rem; text-wrap:pretty }
.tiles { display:grid; grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr)); gap:0 1.5rem; margin:0 0 1rem; padding:0; border-top:2px solid var(--ink); list-style:none }
.tiles li { padding:.9rem 0 1rem; border-bottom:1px solid var(--rule) }
.tiles strong { display:block; font:600 1.85rem/1.15 var(--serif); color:var(--red); font-variant-numeric:lining-nums tabular-nums }
.tiles span { font-size:.9rem; line-height:1.35; color:var(--soft); display:block; margin-top:.25rem }
figure { margin:1rem 0 0 }
figure svg { display:block; width:100%; height:auto; overflow:visible }
.narrow { display:none }
@media (max-width:36rem) { .wide { display:none } .narrow { display:block } h2 { margin-top:2.75rem } }
.scroll { overflow-x:auto; margin:1rem 0 }
table { border-collapse:collapse; width:100%; font-size:.92rem; line-height:1.4; font-variant-numeric:lining-nums tabular-nums }
caption { text-align:left; color:var(--soft); font-size:.92rem; padding-bottom:.5rem }
th { text-align:left; font-weight:600; color:var(--soft); border-bottom:1.5px solid var(--ink); padding:.35rem .75rem .35rem 0; vertical-align:bottom }
td { border-bottom:1px solid var(--rule); padding:.4rem .75rem .4rem 0; vertical-align:top }
th:last-child, td:last-child { padding-right:0 }
.number { text-align:right; white-space:nowrap }
.why { color:var(--soft) } .day { white-space:nowrap }
ul { padding-left:1.1rem; margin:.5rem 0 1rem } li { margin:.45rem 0 } li::marker { color:var(--red) }
footer { margin-top:4rem; padding-top:1rem; border-top:2px solid var(--ink); font-size:.9rem; color:var(--soft) }
@media (max-width:36rem) { .cleaning td { display:block; border:0; padding:0 } .cleaning tr { display:block; border-bottom:1px solid var(--rule); padding:.55rem 0 }
  .cleaning thead { position:absolute; clip-path:inset(50%); } .cleaning .number { text-align:left; color:var(--red); font-weight:600 } .cleaning .number::after { content:" rows" }
  .cleaning .place, .plane { display:none } }
@media print { :root { --page:#fff; --ink:#1c2733; --soft:#5b6773; --rule:#dfe4e8; --blue:#0072b2; --red:#c8500a; --pale:#a9c9de } main { max-width:none; padding:0 }
  figure, tr { break-inside:avoid } h2, h3 { break-after:avoid } .wide { display:block } .narrow { display:none } }
"""


def chart(name, alt):
    out = []
    for kind in ("wide", "narrow"):
        with open(f"charts/{name}-{kind}.svg", encoding="utf-8") as file:
            out.append(file.read().replace("<svg ", f'<svg class="{kind}" role="img" aria-label="{html.escape(alt)}" ', 1))
    return "\n".join(out)


def sentence(text):
    return html.escape(text[:1].upper() + text[1:])


def bullets(items):
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


rules = "".join(f'<tr><td class="place">{one["rule"]}</td><td>{sentence(one["what"])}</td><td class="number">{one["rows"]:,}</td>'
                f'<td class="why">{sentence(one["why"])}</td></tr>' for one in cleaning["rules"])
dearest = "".join(f'<tr><td class="day">{one["date"]}</td><td>{html.escape(one["airport"])}</td><td class="plane">{html.escape(one["aircraft"])}</td><td>{html.escape(one["species"])}</td>'
                  f'<td class="number">{money(one["cost"])}</td></tr>' for one in costs["dearest"])
body = "".join(f'<section><h3>{one["heading"]}</h3><p>{one["text"]}</p><figure>{chart(one["name"], one["alt"])}</figure></section>' for one in story.figures)
page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="Thenar, scripted demo">
<title>{html.escape(story.TITLE)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<p class="label">{story.LABEL}</p>
<h1>{html.escape(story.TITLE)}</h1>
<p class="deck">{story.DECK}</p>
<ul class="tiles">{"".join(f"<li><strong>{figure}</strong><span>{text}</span></li>" for figure, text in story.tiles)}</ul>
<h2>What the reports show</h2>
{body}
<div class="scroll"><table><caption>The dearest strikes on record here</caption>
<thead><tr><th scope="col">Day</th><th scope="col">Airport</th><th scope="col" class="plane">Aircraft</th><th scope="col">Animal</th><th scope="col" class="number">Cost</th></tr></thead><tbody>{dearest}</tbody></table></div>
<h2>What this data cannot say</h2>
{bullets(story.limits)}
<h2>What was cleaned</h2>
<p>{cleaning["rows_read"]:,} rows were read and {cleaning["rows_kept"]:,} kept. No gap was filled: what is not known is missing. Every rule, in the order it ran, with the rows it touched:</p>
<table class="cleaning"><thead><tr><th scope="col">No.</th><th scope="col">Rule</th><th scope="col" class="number">Rows</th><th scope="col">Why</th></tr></thead><tbody>{rules}</tbody></table>
<h2>Method</h2>
{"".join(f"<p>{text}</p>" for text in story.method)}
<h2>Sources</h2>
{"".join(f"<p>{text}</p>" for text in story.sources)}
<footer>{story.LABEL}</footer>
</main>
</body>
</html>
"""
with open("report.html", "w", encoding="utf-8") as out:
    out.write(page)
print(f"HTML_BYTES: {len(page.encode()):,}\nHTML_FIGURES: {len(story.figures)}")
