"""Sets the story as a PDF for printing and sending on: A4, embedded fonts, vector charts, bookmarks, page numbers."""
import io
import os

import reportlab.rl_config
import story
from font_source_sans_pro import font_files_ttf as sans
from font_source_serif_pro import font_files_ttf as serif
from pypdf import PdfReader, PdfWriter, Transformation
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, KeepTogether, PageTemplate, Paragraph, Spacer, Table, TableStyle
from story import cleaning, costs, money

INK, SOFT, RULE, RED = (HexColor(colour) for colour in ("#1c2733", "#5b6773", "#dfe4e8", "#c8500a"))
MARGIN, WIDTH = 22 * mm, A4[0] - 44 * mm
for name, path in (("Sans", sans["SourceSansPro"]), ("Sans-Bold", sans["SourceSansProSemibold"]), ("Serif", serif["SourceSerifPro"]),
                   ("Serif-Bold", serif["SourceSerifProSemibold"])):
    pdfmetrics.registerFont(TTFont(name, path))
reportlab.rl_config.canvas_basefontname = "Sans"      # else an unused, not embedded Helvetica is named in the file
pdfmetrics.registerFontFamily("Sans", normal="Sans", bold="Sans-Bold", italic="Sans", boldItalic="Sans-Bold")


def style(name, font, size, lead, **more):
    return ParagraphStyle(name, fontName=font, fontSize=size, leading=lead, textColor=more.pop("textColor", INK), **more)


BODY = style("body", "Sans", 10, 13.8, spaceAfter=4)
LABEL = style("label", "Sans", 8.5, 11.5, textColor=SOFT, leftIndent=8, borderPadding=0)
TITLE = style("title", "Serif-Bold", 30, 33, spaceAfter=9, spaceBefore=16)
DECK = style("deck", "Serif", 13, 18, textColor=SOFT, spaceAfter=14)
H2 = style("h2", "Serif-Bold", 17, 21, spaceBefore=14, spaceAfter=5)
H3 = style("h3", "Serif-Bold", 12.5, 16, spaceBefore=12, spaceAfter=3)
BULLET = style("bullet", "Sans", 10, 13.4, leftIndent=11, bulletIndent=0, bulletFontName="Sans", bulletColor=RED, spaceAfter=2)
CELL, WHY = style("cell", "Sans", 8.8, 11.4), style("why", "Sans", 8.8, 11.4, textColor=SOFT)
NUMBER, HEAD = style("number", "Sans", 8.8, 11.4, alignment=2), style("head", "Sans-Bold", 8.8, 11.4, textColor=SOFT)
BIG, SMALL = style("big", "Serif-Bold", 19, 23, textColor=RED), style("small", "Sans", 8.8, 11.4, textColor=SOFT)


class Chart(Flowable):
    """Leaves room for a chart; where it stands is noted, and the chart's own PDF is laid there once the pages are made."""

    placed = []

    def __init__(self, name):
        super().__init__()
        with open(f"charts/{name}.pdf", "rb") as file:
            self.pdf = PdfReader(io.BytesIO(file.read())).pages[0]
        self.scale = WIDTH / float(self.pdf.mediabox.width)
        self.width, self.height = WIDTH, float(self.pdf.mediabox.height) * self.scale

    def wrap(self, *_):
        return self.width, self.height

    def draw(self):
        x, y = self.canv.absolutePosition(0, 0)
        Chart.placed.append((self.canv.getPageNumber() - 1, self.pdf, self.scale, x, y))


class Bar(Flowable):
    """The orange rule beside the label."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def wrap(self, width, height):
        self.width, self.height = self.inner.wrap(width, height)
        return self.width, self.height

    def draw(self):
        self.canv.setFillColor(RED)
        self.canv.rect(0, -1, 2, self.height, stroke=0, fill=1)
        self.inner.drawOn(self.canv, 0, 0)


class Report(BaseDocTemplate):
    def afterFlowable(self, flowable):
        if isinstance(flowable, Paragraph) and flowable.style.name in ("h2", "h3"):
            text, key = flowable.getPlainText(), f"h{self.seq.nextf('heading')}"
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(text, key, 0 if flowable.style.name == "h2" else 1, closed=False)


def footer(canvas, document):
    canvas.setFont("Sans", 8)
    canvas.setFillColor(SOFT)
    canvas.drawString(MARGIN, 12 * mm, "Made by a scripted demo, not by a model")
    canvas.drawRightString(A4[0] - MARGIN, 12 * mm, f"{document.page}")


def table(head, rows, widths, numbers):
    lines = [[Paragraph(text, HEAD if place not in numbers else ParagraphStyle("right", HEAD, alignment=2)) for place, text in enumerate(head)]] + rows
    return Table(lines, [WIDTH * part for part in widths], repeatRows=1, style=TableStyle([
        ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, 0), 0.9, INK), ("LINEBELOW", (0, 1), (-1, -1), 0.5, RULE),
        ("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-2, -1), 8), ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 2), ("BOTTOMPADDING", (0, 0), (-1, -1), 3)]))


def safe(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;")


def sentence(text):
    return safe(text[:1].upper() + text[1:])


width = WIDTH / len(story.tiles)
flow = [
    Bar(Paragraph(story.LABEL, LABEL)), Paragraph(story.TITLE.replace("do damage", "do\u00a0damage"), TITLE), Paragraph(story.DECK, DECK),
    Table([[Paragraph(figure, BIG) for figure, _ in story.tiles], [Paragraph(text, SMALL) for _, text in story.tiles]], [width] * len(story.tiles),
          style=TableStyle([("LINEABOVE", (0, 0), (-1, 0), 1.2, INK), ("LINEBELOW", (0, 1), (-1, 1), 0.5, RULE), ("VALIGN", (0, 0), (-1, -1), "TOP"),
                            ("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 12), ("TOPPADDING", (0, 0), (-1, 0), 8),
                            ("BOTTOMPADDING", (0, 1), (-1, 1), 10), ("TOPPADDING", (0, 1), (-1, 1), 0)])),
    Paragraph("What the reports show", H2)]
for one in story.figures:
    flow.append(KeepTogether([Paragraph(one["heading"], H3), Paragraph(one["text"], BODY), Chart(one["name"]), Spacer(0, 6)]))
if costs["dearest"]:
    flow.append(KeepTogether([Paragraph("The dearest strikes on record here", H3), table(
        ["Day", "Airport", "Aircraft", "Animal", "Cost"],
        [[Paragraph(safe(one["date"]), CELL), Paragraph(safe(one["airport"]), CELL), Paragraph(safe(one["aircraft"]), CELL), Paragraph(safe(one["species"]), CELL),
          Paragraph(money(one["cost"]), NUMBER)] for one in costs["dearest"][:6]], (0.13, 0.34, 0.17, 0.22, 0.14), {4})]))
flow += [Paragraph("What this data cannot say", H2)] + [Paragraph(text, BULLET, bulletText="•") for text in story.limits]
flow += [Paragraph("What was cleaned", H2), Paragraph(
    f"{cleaning['rows_read']:,} rows were read and {cleaning['rows_kept']:,} kept. No gap was filled: what is not known is missing. "
    "Every rule, in the order it ran, with the rows it touched:", BODY),
    table(["No.", "Rule", "Rows", "Why"], [[Paragraph(str(one["rule"]), CELL), Paragraph(sentence(one["what"]), CELL), Paragraph(f"{one['rows']:,}", NUMBER),
          Paragraph(sentence(one["why"]), WHY)] for one in cleaning["rules"]], (0.05, 0.44, 0.08, 0.43), {2})]
flow += [Paragraph("Method", H2)] + [Paragraph(text, BODY) for text in story.method] + [Paragraph("Sources", H2)] + [Paragraph(text, BODY) for text in story.sources]

pages = io.BytesIO()
document = Report(pages, pagesize=A4, title=story.TITLE, author="Thenar, scripted demo", subject=story.LABEL, lang="en", invariant=1)
document.addPageTemplates(PageTemplate(frames=[Frame(MARGIN, 20 * mm, WIDTH, A4[1] - 40 * mm, 0, 0, 0, 0)], onPage=footer))
document.build(flow)

writer = PdfWriter(clone_from=io.BytesIO(pages.getvalue()))
for number, chart, scale, x, y in Chart.placed:
    writer.pages[number].merge_transformed_page(chart, Transformation().scale(scale).translate(x, y))
for page in writer.pages:
    page.compress_content_streams()
writer.compress_identical_objects()
with open("report.pdf", "wb") as out:
    writer.write(out)
print(f"PDF_PAGES: {len(writer.pages)}\nPDF_BYTES: {os.path.getsize('report.pdf'):,}")
