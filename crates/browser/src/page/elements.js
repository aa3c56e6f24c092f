// The elements of a page: their numbers, their names, what can be done with them. Runs in a world of its own, which the
// page can neither see nor change; it never changes the page.

const thenar = { world: 1 };
globalThis.thenar = thenar;

// An element keeps its number for as long as it lives, and no other element ever gets it.
const numbers = new WeakMap();
const elements = new Map();
const closedRoots = new WeakMap();
const lookedInto = new WeakSet();
let opaque = [];
let numbered = 0;

thenar.numbered = () => numbered;

// The number of an element; a new one gets `next`, or a later one: whoever asks may not know all that were given here.
const numberOf = (element, next) => {
  let number = numbers.get(element);
  if (number === undefined) {
    number = Math.max(next, numbered + 1);
    numbers.set(element, number);
    elements.set(number, new WeakRef(element));
    numbered = Math.max(numbered, number);
  }
  return number;
};
thenar.numberOf = numberOf;

// The element of a number, if it still stands in this document.
thenar.element = (number) => {
  const element = elements.get(number)?.deref();
  return element?.isConnected ? element : null;
};
thenar.has = (number) => thenar.element(number) !== null;

const rootOf = (element) => element.shadowRoot ?? closedRoots.get(element) ?? null;

// Custom elements that may hide a closed tree: the driver looks into them from outside, once each.
thenar.opaque = (index) => opaque[index] ?? null;
thenar.open = (host, root) => { if (root) closedRoots.set(host, root); };

const childrenOf = (element) => {
  const root = rootOf(element);
  if (root) return root.childNodes;
  if (element.localName === 'slot') {
    const assigned = element.assignedNodes();
    if (assigned.length > 0) return assigned;
  }
  return element.childNodes;
};

const parentOf = (node) => {
  if (node.assignedSlot) return node.assignedSlot;
  const parent = node.parentNode;
  return parent instanceof ShadowRoot ? parent.host : parent;
};

const isWithin = (node, ancestor) => {
  for (let at = node; at; at = parentOf(at)) if (at === ancestor) return true;
  return false;
};

const squeeze = (text) => (text ?? '').replace(/[\s\u00a0]+/g, ' ').trim();
const cut = (text, most) => {
  const letters = Array.from(text);
  return letters.length <= most ? text : letters.slice(0, most - 1).join('') + '…';
};

// Brackets are ours: a page must not be able to write what looks like an element. What it writes is put together from pieces, and
// signs that nobody sees are left out later: only of a whole line without them can be told whether a bracket may stay.
const plainName = (text, most) => cut(squeeze(text), most).replace(/\[/g, '(').replace(/\]/g, ')');
const UNSEEN = /[\u0000-\u0008\u000e-\u001f\u007f-\u009f\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e01ef}]/gu;
const THEIRS = '\ue000';
const plainText = (text) => text.replace(UNSEEN, '').replace(/\[/g, THEIRS);
const closed = (line) => line.replace(/\ue000(?=\s*\d+[\s\]])/g, '[ ').replace(/\ue000/g, '[');

const NAME_CHARS = 100;

const ROLES = new Set(['button', 'checkbox', 'combobox', 'gridcell', 'link', 'listbox', 'menuitem', 'menuitemcheckbox',
  'menuitemradio', 'option', 'radio', 'searchbox', 'slider', 'spinbutton', 'switch', 'tab', 'textbox', 'treeitem']);
const WIDGETS = 'a[href],button,input:not([type=hidden]),select,textarea,summary,[contenteditable=""],' +
  '[contenteditable=true],[onclick],[tabindex],[role]';

const explicitRole = (element) => (element.getAttribute('role') ?? '').trim().split(/\s+/)[0].toLowerCase();

const INPUT_ROLES = { button: 'button', checkbox: 'checkbox', color: 'color', date: 'date', 'datetime-local': 'date and time',
  file: 'file', image: 'button', month: 'month', number: 'number', password: 'password', radio: 'radio', range: 'slider',
  reset: 'button', search: 'searchbox', submit: 'button', time: 'time', week: 'week' };

// What an element is called, if something can be done with it.
const roleOf = (element, style) => {
  const tag = element.localName;
  if (tag === 'input') return element.type === 'hidden' ? null : INPUT_ROLES[element.type] ?? 'textbox';
  if (tag === 'select') return element.multiple ? 'multiselect' : 'select';
  if (tag === 'textarea') return 'textarea';
  const role = explicitRole(element);
  if (ROLES.has(role)) return role;
  if (tag === 'button') return 'button';
  if ((tag === 'a' || tag === 'area') && element.hasAttribute('href')) return 'link';
  if (tag === 'summary') return 'summary';
  if (element.isContentEditable && !parentOf(element)?.isContentEditable) return 'editor';
  if (tag === 'body' || tag === 'html' || tag === 'label') return null;
  if (element.hasAttribute('onclick')) return 'clickable';
  const at = parentOf(element);
  if (style.cursor === 'pointer' && at instanceof Element && getComputedStyle(at).cursor !== 'pointer') return 'clickable';
  const index = element.getAttribute('tabindex');
  if (index !== null && Number(index) >= 0 && (tag !== 'div' || role)) return 'focusable';
  return null;
};

const textOf = (element, most) => {
  let text = '';
  const add = (node) => {
    if (text.length > most * 4) return;
    if (node.nodeType === Node.TEXT_NODE) { text += node.data; return; }
    if (!(node instanceof Element)) return;
    const tag = node.localName;
    if (tag === 'script' || tag === 'style' || tag === 'noscript' || tag === 'template') return;
    if (tag === 'img') { text += ' ' + (node.alt ?? '') + ' '; return; }
    if (tag === 'svg') { text += ' ' + (node.querySelector('title')?.textContent ?? '') + ' '; return; }
    if (tag === 'br') { text += ' '; return; }
    const style = getComputedStyle(node);
    if (style.display === 'none') return;
    const block = style.display !== 'inline';
    if (block) text += ' ';
    for (const child of childrenOf(node)) add(child);
    if (block) text += ' ';
  };
  for (const child of childrenOf(element)) add(child);
  return squeeze(text);
};

// The name that a person would give an element.
const nameOf = (element) => {
  const ids = element.getAttribute('aria-labelledby');
  if (ids) {
    const root = element.getRootNode();
    const text = ids.split(/\s+/).map((id) => root.getElementById?.(id)?.textContent ?? '').join(' ');
    if (squeeze(text)) return squeeze(text);
  }
  const label = squeeze(element.getAttribute('aria-label'));
  if (label) return label;
  const tag = element.localName;
  if (tag === 'input' && ['submit', 'reset', 'button'].includes(element.type)) {
    return squeeze(element.value) || (element.type === 'submit' ? 'Submit' : element.type === 'reset' ? 'Reset' : '');
  }
  if (tag === 'input' && element.type === 'image') return squeeze(element.alt) || 'Submit';
  if (tag === 'input' || tag === 'select' || tag === 'textarea') {
    const labels = Array.from(element.labels ?? []).map((one) => textOf(one, NAME_CHARS)).filter(Boolean);
    if (labels.length > 0) return labels.join(' ');
    return squeeze(element.placeholder) || squeeze(element.title) || squeeze(element.name) || '';
  }
  const text = explicitRole(element) === 'textbox' || element.isContentEditable ? '' : textOf(element, NAME_CHARS);
  if (text) return text;
  const title = squeeze(element.getAttribute('title')) || squeeze(element.getAttribute('placeholder'));
  if (title) return title;
  const hint = element.getAttribute('id') || element.getAttribute('data-testid') || element.querySelector?.('use')?.getAttribute('href') ||
    (typeof element.className === 'string' ? element.className.split(/\s+/)[0] : '');
  return hint ? '(' + squeeze(hint) + ')' : '';
};

const VALUE_CHARS = 200;
const OPTIONS_SHOWN = 12;

// What an element holds and how it stands, after its name.
const statesOf = (element, role) => {
  const tag = element.localName;
  const states = [];
  let value = null;
  if (tag === 'select') {
    const all = Array.from(element.options);
    const label = (option) => plainName(option.label || option.text, 40) + (option.matches(':disabled') ? ' (disabled)' : '');
    const chosen = all.filter((option) => option.selected).map(label);
    value = chosen.join(' + ') || '(none)';
    const names = all.slice(0, OPTIONS_SHOWN).map(label).join(' | ') + (all.length > OPTIONS_SHOWN ? ' | …' : '');
    states.push(`${all.length} options: ${names}`);
  } else if (tag === 'textarea' || (tag === 'input' && !['checkbox', 'radio', 'button', 'submit', 'reset', 'image'].includes(element.type))) {
    if (element.type === 'password') value = element.value ? `(${element.value.length} hidden characters)` : '';
    else if (element.type === 'file') value = Array.from(element.files ?? []).map((file) => file.name).join(' + ');
    else value = element.value;
    if (element.list && element.list.options.length > 0) {
      const names = Array.from(element.list.options).slice(0, OPTIONS_SHOWN).map((option) => plainName(option.value, 40));
      states.push(`suggests: ${names.join(' | ')}`);
    }
  } else if (role === 'editor' || role === 'textbox' || role === 'searchbox') {
    value = textOf(element, VALUE_CHARS);
  } else if (element.getAttribute('aria-valuenow') !== null) {
    value = element.getAttribute('aria-valuetext') ?? element.getAttribute('aria-valuenow');
  }
  if (tag === 'input' && (element.type === 'checkbox' || element.type === 'radio')) {
    states.push(element.indeterminate ? 'mixed' : element.checked ? 'checked' : 'not checked');
  } else if (element.hasAttribute('aria-checked')) {
    states.push(element.getAttribute('aria-checked') === 'true' ? 'checked' : 'not checked');
  }
  if (element.getAttribute('aria-selected') === 'true') states.push('selected');
  if (element.getAttribute('aria-pressed') === 'true') states.push('pressed');
  if (element.getAttribute('aria-current') && element.getAttribute('aria-current') !== 'false') states.push('current');
  const expanded = element.getAttribute('aria-expanded') ?? (tag === 'summary' ? String(element.parentElement?.open === true) : null);
  if (expanded === 'true') states.push('expanded');
  if (expanded === 'false') states.push('collapsed');
  if (element.matches(':disabled') || element.getAttribute('aria-disabled') === 'true') states.push('disabled');
  if (element.readOnly) states.push('read-only');
  if (element.required) states.push('required');
  if (element.validity && !element.validity.valid && element.value) states.push('invalid: ' + plainName(element.validationMessage, 80));
  if (element.getRootNode().activeElement === element && document.hasFocus()) states.push('focused');
  let text = '';
  if (value) text += ' = ' + plainName(value, VALUE_CHARS);
  for (const state of states) text += ', ' + state;
  return text;
};

// An element as it is told; `stands` is what holds the value, where that is another.
const tokenOf = (element, role, next, called = nameOf(element), stands = element) => {
  const name = plainName(called, NAME_CHARS);
  return `[${numberOf(element, next)} ${role}${name ? ': ' + name : ''}${statesOf(stands, role)}]`;
};

// One element in words, numbered: for results of scripts and for errors.
thenar.describe = (element, next) => {
  if (!(element instanceof Element)) return null;
  const role = roleOf(element, getComputedStyle(element)) ?? plainName(element.localName, 60);
  return { number: numberOf(element, next), text: tokenOf(element, role, next) };
};
