// The text of a page as Markdown: what is shown of it, frames aside.

const MARKDOWN_CHARS_MAX = 400000;

class Markdown {
  constructor() {
    this.out = [];
    this.line = '';
    this.size = 0;
    this.more = false;
  }

  // Ends the line; `gap` asks for an empty one after it.
  end(gap) {
    const line = this.line.replace(/[ \t\u00a0]+/g, ' ').replace(/^ | $/g, '');
    if (line) { this.out.push(line); this.size += line.length; }
    this.line = '';
    if (gap && this.out.length > 0 && this.out[this.out.length - 1] !== '') this.out.push('');
    if (this.size > MARKDOWN_CHARS_MAX) this.more = true;
  }

  node(node, inside) {
    if (this.more) return;
    if (node.nodeType === Node.TEXT_NODE) {
      if (this.line.length > MARKDOWN_CHARS_MAX) { this.more = true; return; }
      this.line += node.data.slice(0, MARKDOWN_CHARS_MAX).replace(/\s+/g, ' ');
      return;
    }
    if (!(node instanceof Element)) return;
    try {
      this.inner(node, inside);
    } catch {
      this.line += ' (a form that cannot be read) ';
    }
  }

  inner(node, inside) {
    const tag = node.localName;
    if (SKIPPED.has(tag) || tag === 'svg' || tag === 'iframe' || tag === 'select' || tag === 'nav' && inside.article) return;
    const style = getComputedStyle(node);
    if (style.display === 'none' || style.visibility !== 'visible' && tag !== 'body') return;
    this.element(node, tag, style, inside);
  }

  children(element, inside) {
    for (const child of childrenOf(element)) this.node(child, inside);
  }

  around(mark, element, inside) {
    const before = this.line;
    this.line = '';
    this.children(element, inside);
    const text = this.line.trim();
    this.line = before + (text ? (this.line.startsWith(' ') ? ' ' : '') + mark + text + mark + (this.line.endsWith(' ') ? ' ' : '') : this.line);
  }

  element(element, tag, style, inside) {
    if (/^h[1-6]$/.test(tag)) {
      this.end(true);
      this.line = '#'.repeat(Number(tag[1])) + ' ';
      this.children(element, inside);
      this.end(true);
    } else if (tag === 'br') this.end(false);
    else if (tag === 'hr') { this.end(true); this.line = '---'; this.end(true); }
    else if (tag === 'pre') {
      this.end(true);
      const text = element.textContent;
      const some = text.slice(0, Math.max(0, MARKDOWN_CHARS_MAX - this.size));
      this.out.push('```', some.replace(/\n$/, ''), '```', '');
      this.size += some.length;
      if (some.length < text.length) this.more = true;
    } else if (tag === 'code') this.around('`', element, inside);
    else if (tag === 'strong' || tag === 'b') this.around('**', element, inside);
    else if (tag === 'em' || tag === 'i') this.around('*', element, inside);
    else if (tag === 'a' && element.href) this.link(element, inside);
    else if (tag === 'img') { if (squeeze(element.alt)) this.line += `![${plainName(element.alt, 120)}]`; }
    else if (tag === 'li') {
      this.end(false);
      const list = element.parentElement;
      const number = list?.localName === 'ol' ? Array.from(list.children).indexOf(element) + (list.start || 1) + '. ' : '- ';
      this.out.push('  '.repeat(inside.depth) + number);
      const first = this.out.length;
      this.children(element, { ...inside, depth: inside.depth + 1 });
      this.end(false);
      // The first line of an item joins its mark.
      if (this.out.length > first) { this.out[first - 1] += this.out[first].trimStart(); this.out.splice(first, 1); }
      else this.out.pop();
    } else if (tag === 'table') this.table(element, inside);
    else if (tag === 'blockquote') {
      this.end(true);
      const first = this.out.length;
      this.children(element, inside);
      this.end(false);
      for (let at = first; at < this.out.length; at += 1) this.out[at] = '> ' + this.out[at];
      this.end(true);
    } else if (tag === 'input' || tag === 'textarea') { if (!['password', 'hidden', 'submit', 'button'].includes(element.type) && element.value) this.line += ' ' + squeeze(element.value) + ' '; }
    else {
      const block = !isInline(style.display);
      if (tag === 'details' && !element.open) { const summary = element.querySelector('summary'); if (summary) this.node(summary, inside); return; }
      const gap = tag === 'p' || (tag === 'ul' || tag === 'ol') && inside.depth === 0 || tag === 'section' || tag === 'article' || tag === 'dl';
      if (block) this.end(gap);
      this.children(element, inside);
      if (block) this.end(gap);
    }
  }

  link(element, inside) {
    const before = this.line;
    this.line = '';
    const lines = this.out.length;
    this.children(element, inside);
    const text = squeeze(this.line);
    const short = element.href.startsWith('javascript:') ? '' : element.href.startsWith(location.origin + '/') && element.href.length > location.origin.length + 1 ? element.href.slice(location.origin.length) : element.href;
    this.line = before + (text && short && this.out.length === lines ? `[${text}](${cut(short, 200)})` : text);
  }

  table(element, inside) {
    this.end(true);
    const rows = Array.from(element.rows ?? []);
    const nested = element.querySelector('table,ul,ol,pre') !== null || rows.length < 2;
    if (nested) { this.children(element, inside); this.end(true); return; }
    rows.forEach((row, index) => {
      if (this.size > MARKDOWN_CHARS_MAX) { this.more = true; return; }
      const cells = Array.from(row.cells).map((cell) => textOf(cell, 400).replace(/\|/g, '\\|'));
      this.out.push('| ' + cells.join(' | ') + ' |');
      this.size += cells.join('').length;
      if (index === 0) this.out.push('|' + ' --- |'.repeat(Math.max(1, cells.length)));
    });
    this.out.push('');
  }
}

thenar.markdown = () => {
  const page = new Markdown();
  const body = document.body ?? document.documentElement;
  if (body) page.children(body, { depth: 0, article: false });
  page.end(false);
  const text = page.out.join('\n').replace(/\n{3,}/g, '\n\n').trim();
  return { text: text.slice(0, 2 * MARKDOWN_CHARS_MAX).toWellFormed(), more: page.more, title: cut(squeeze(document.title), 200), url: location.href };
};

// What a person has selected, in a field or in the page.
thenar.selection = (most) => {
  const field = document.activeElement;
  const inField = field && typeof field.selectionStart === 'number' && field.type !== 'password';
  const text = inField ? field.value.slice(field.selectionStart, field.selectionEnd) : '';
  return (text || String(getSelection() ?? '')).slice(0, most);
};
