// What a person sees of a page, as lines of text in reading order, with a number on everything that can be acted upon.

const NODES_MAX = 30000;
const WALK_MS_MAX = 1500;
const LINE_CHARS_MAX = 1200;
// Letters taken of one piece of text, and of what makes up a line: most may be spaces, of which one is left.
const PIECE_CHARS_MAX = 20000;
// Elements that are looked at in what has been scrolled past, for those that stay.
const PASSED_MAX = 20000;
const SKIPPED = new Set(['script', 'style', 'noscript', 'template', 'head', 'meta', 'link', 'title', 'source', 'track', 'param']);

const isInline = (display) => display.startsWith('inline') || display === 'contents' || display === 'ruby';

const isHidden = (style) => style.visibility !== 'visible' || (style.opacity === '0' && style.pointerEvents === 'none');
const isField = (tag, role) => ['input', 'select', 'textarea'].includes(tag) || role === 'editor' || role === 'textbox';
// Controls that do by a click on their label all that they do.
const LABEL_WORKS = new Set(['checkbox', 'radio', 'file']);

class Walk {
  constructor(options) {
    this.next = options.next;
    // Content that ends above this is skipped, in points of the window.
    this.above = options.above;
    this.most = options.lines;
    this.lines = [];
    this.seen = [];
    this.frames = [];
    this.text = '';
    this.prefix = '';
    this.top = null;
    this.nodes = 0;
    this.more = false;
    this.skippedAbove = false;
    this.passed = 0;
    this.until = performance.now() + WALK_MS_MAX;
  }

  flush() {
    const text = closed(squeeze(this.text)).replace(/\] (?=[.,;:!?)])/g, ']');
    if (text) this.lines.push({ text: this.prefix + cut(text, LINE_CHARS_MAX), top: Math.round(this.top ?? 0) });
    this.text = '';
    this.prefix = '';
    this.top = null;
  }

  put(text, top) {
    if (this.top === null && text.trim()) this.top = top;
    if (this.text.length < PIECE_CHARS_MAX) this.text += text;
  }

  full() {
    if (this.more) return true;
    this.nodes += 1;
    const late = this.nodes % 256 === 0 && performance.now() > this.until;
    if (late || this.nodes > NODES_MAX || this.lines.length >= this.most) this.more = true;
    return this.more;
  }

  node(node, inside) {
    if (this.full()) return;
    if (node.nodeType === Node.TEXT_NODE) {
      if (inside.hidden || inside.labelled) return;
      if (inside.pre) this.preformatted(node.data, inside.top);
      else if (node.data.trim()) this.put(plainText(node.data.slice(0, PIECE_CHARS_MAX)), inside.top);
      else this.text += ' ';
    } else if (node instanceof Element) {
      try {
        this.element(node, inside);
      } catch {
        // A form whose fields are called like what is asked of it hides itself, and nothing beside it.
        this.put(' (a form that cannot be read) ', inside.top);
      }
    }
  }

  preformatted(text, top) {
    for (let from = 0; from <= text.length;) {
      const found = text.indexOf('\n', from);
      const end = found < 0 ? text.length : found;
      const line = text.slice(from, Math.min(end, from + PIECE_CHARS_MAX));
      if (line.trim()) this.put(plainText(line), top);
      if (found >= 0) this.flush();
      from = end + 1;
      if (found >= 0 && this.full()) return;
    }
  }

  element(element, inside) {
    const tag = element.localName;
    if (SKIPPED.has(tag)) return;
    if (tag === 'br') { this.flush(); return; }
    const style = getComputedStyle(element);
    if (style.display === 'none') return;
    const rect = style.display === 'contents' ? null : element.getBoundingClientRect();
    const hidden = isHidden(style);
    if (rect && this.outOfSight(element, rect, style)) return;
    const top = rect ? rect.top : inside.top;
    const inline = isInline(style.display) || element instanceof SVGElement;
    // What sticks out of it counts too: pages are often taller than their own body.
    const isAbove = !inline && rect && rect.height > 0 && rect.bottom < this.above && rect.top + element.scrollHeight < this.above;
    if (isAbove && style.position !== 'fixed' && style.display !== 'contents') {
      this.flush();
      this.skippedAbove = true;
      this.past(element);
      return;
    }
    const context = { hidden, pre: style.whiteSpace.startsWith('pre') && style.whiteSpace !== 'pre-line', top, labelled: inside.labelled };
    if (!inline) this.flush();
    if (!hidden) this.own(element, tag, style, rect, context);
    else this.children(element, context);
    if (!inline) this.flush();
  }

  // What stays in the window although that which holds it has been scrolled past: bars that are fixed, or stick.
  past(element) {
    for (const child of childrenOf(element)) {
      if (!(child instanceof Element) || SKIPPED.has(child.localName)) continue;
      this.passed += 1;
      if (this.passed > PASSED_MAX) return;
      const style = getComputedStyle(child);
      if (style.display === 'none') continue;
      const stays = style.position === 'fixed' || style.position === 'sticky';
      const rect = stays ? child.getBoundingClientRect() : null;
      if (rect && rect.bottom >= this.above) this.node(child, { hidden: false, pre: false, top: rect.top, labelled: false });
      else try { this.past(child); } catch { /* A form whose fields are called like its own parts has nothing that stays. */ }
    }
  }

  // Nothing of it can be seen, and nothing below it sticks out.
  outOfSight(element, rect, style) {
    if (rect.width <= 1 && rect.height <= 1 && style.overflow !== 'visible') return true;
    if (rect.width === 0 && rect.height === 0 && element.childElementCount === 0 && element.localName !== 'area' && !rootOf(element)) return !squeeze(element.textContent);
    const fixed = style.position === 'absolute' || style.position === 'fixed';
    return fixed && rect.width > 0 && (rect.right + scrollX < 0 || rect.bottom + scrollY < 0);
  }

  own(element, tag, style, rect, context) {
    if (tag === 'iframe' || tag === 'frame' || (tag === 'object' && element.contentDocument)) {
      if (rect.width < 4 || rect.height < 4) return;
      this.flush();
      const number = this.take(numberOf(element, this.next));
      this.frames.push({ number, line: this.lines.length });
      const name = plainName(element.title || element.getAttribute('aria-label') || element.name, NAME_CHARS);
      this.lines.push({ text: `[${number} frame${name ? ': ' + name : ''}]`, top: Math.round(rect.top), frame: number });
      return;
    }
    const behind = tag === 'label' ? element.control : null;
    // A control that its page hides is worked by its label.
    const standIn = behind !== null && LABEL_WORKS.has(behind.type) && !this.shows(behind);
    const role = standIn ? roleOf(behind, getComputedStyle(behind)) : roleOf(element, style);
    if (role) {
      const name = standIn ? textOf(element, NAME_CHARS) || nameOf(element) : nameOf(element);
      const token = tokenOf(element, role, this.next, name, standIn ? behind : element);
      this.take(numbers.get(element));
      this.put(' ' + token + ' ', context.top);
      const said = this.isSaid(element, tag, role, name);
      if (said && this.isWhole(element, tag, role)) return;
      if (said) context.labelled = true;
    }
    if (tag === 'img' || (tag === 'svg' && !role)) {
      const name = plainName(tag === 'img' ? element.alt : element.querySelector('title')?.textContent || element.getAttribute('aria-label'), NAME_CHARS);
      if (name && rect.width >= 8) this.put(` (image: ${name}) `, context.top);
      if (tag === 'img') return;
      for (const shape of element.querySelectorAll('text')) this.put(' ' + plainText(shape.textContent) + ' ', context.top);
      for (const shape of element.querySelectorAll('[onclick],[tabindex],a')) this.element(shape, context);
      return;
    }
    if (tag === 'canvas' || tag === 'video' || tag === 'audio') this.put(` (${tag}${tag === 'canvas' ? '' : element.paused ? ', paused' : ', playing'}) `, context.top);
    if (tag === 'details' && !element.open) { for (const child of element.children) if (child.localName === 'summary') this.node(child, context); return; }
    if (style.contentVisibility === 'hidden') return;
    // What names a control that is told by itself is told with that.
    if (behind !== null && !standIn && behind.type !== 'hidden' && this.shows(behind) && this.isSaid(element, tag, role, nameOf(behind))) context.labelled = true;
    if (/^h[1-6]$/.test(tag)) this.prefix = '#'.repeat(Number(tag[1])) + ' ';
    if (tag === 'li') this.prefix = '- ';
    if (tag === 'tr') { this.row(element, context); return; }
    if (tag === 'progress' || tag === 'meter') this.put(` (${tag}: ${element.value ?? '?'} of ${element.max ?? 1}) `, context.top);
    if (element.localName.includes('-') && !rootOf(element) && !lookedInto.has(element) && opaque.length < 40) {
      lookedInto.add(element);
      opaque.push(element);
    }
    this.children(element, context);
  }

  // Whether an element's name says all the words that are in it: a name of another origin, or one that is cut, does not.
  isSaid(element, tag, role, name) {
    if (isField(tag, role)) return true;
    const text = textOf(element, NAME_CHARS);
    if (text.length > NAME_CHARS) return false;
    const words = text.toLowerCase().split(' ').filter((word) => /[\p{L}\p{N}]/u.test(word));
    const told = cut(name, NAME_CHARS).toLowerCase();
    return words.every((word) => told.includes(word));
  }

  // Whether there is nothing in an element but words.
  isWhole(element, tag, role) {
    if (isField(tag, role)) return true;
    return !rootOf(element) && element.querySelector(WIDGETS) === null && element.querySelector('iframe') === null;
  }

  // Whether a control is told by itself.
  shows(control) {
    if (isHidden(getComputedStyle(control))) return false;
    for (let at = control; at instanceof Element; at = parentOf(at)) {
      const style = getComputedStyle(at);
      if (style.display === 'none') return false;
      if (style.display !== 'contents' && this.outOfSight(at, at.getBoundingClientRect(), style)) return false;
    }
    return true;
  }

  children(element, context) {
    for (const child of childrenOf(element)) this.node(child, context);
  }

  // A row of a table on one line.
  row(element, context) {
    let first = true;
    for (const cell of childrenOf(element)) {
      if (!(cell instanceof Element)) continue;
      const style = getComputedStyle(cell);
      if (style.display === 'none' || style.visibility !== 'visible') continue;
      if (!first) this.put(' | ', context.top);
      first = false;
      if (cell.querySelector('table,ul,ol,p,div > div')) this.element(cell, context);
      else {
        const role = roleOf(cell, style);
        if (role) this.element(cell, context);
        else this.children(cell, context);
      }
    }
  }

  take(number) {
    if (number >= this.next) this.next = number + 1;
    this.seen.push(number);
    return number;
  }
}

thenar.walk = (options) => {
  opaque = [];
  const walk = new Walk(options);
  const body = document.body ?? document.documentElement;
  if (body) walk.element(body, { hidden: false, pre: false, top: 0, labelled: false });
  walk.flush();
  const page = document.scrollingElement ?? document.documentElement;
  return {
    lines: walk.lines,
    frames: walk.frames,
    seen: walk.seen,
    next: walk.next,
    more: walk.more,
    skipped_above: walk.skippedAbove,
    opaque: opaque.length,
    title: cut(squeeze(document.title), 200),
    url: location.href,
    ready: document.readyState,
    width: innerWidth,
    height: innerHeight,
    scroll_top: Math.round(scrollY),
    scroll_height: Math.round(page?.scrollHeight ?? 0),
    status: performance.getEntriesByType('navigation')[0]?.responseStatus ?? 0,
  };
};
