// What is needed to act upon an element like a person: where to point, what is in the way, what holds what.

const nextFrame = () => new Promise((done) => {
  const timer = setTimeout(done, 60);
  requestAnimationFrame(() => { clearTimeout(timer); done(); });
});

// Resolves once nothing has changed for `still` milliseconds; false if something still did after `most`.
thenar.quiet = (still, most) => new Promise((done) => {
  const begun = performance.now();
  let last = begun;
  const observer = new MutationObserver(() => { last = performance.now(); });
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  const timer = setInterval(() => {
    const now = performance.now();
    if (now - last < still && now - begun < most) return;
    clearInterval(timer);
    observer.disconnect();
    done(now - last >= still);
  }, 20);
});

const deepestAt = (x, y) => {
  let hit = document.elementFromPoint(x, y);
  for (let root = hit && rootOf(hit); root; root = rootOf(hit)) {
    const inner = root.elementFromPoint(x, y);
    if (!inner || inner === hit) break;
    hit = inner;
  }
  return hit;
};

// What has a page of its own in it, which takes the click for itself.
const HOLDS_A_PAGE = new Set(['iframe', 'frame', 'object', 'embed']);

const reaches = (element, hit) => {
  if (!hit) return false;
  if (HOLDS_A_PAGE.has(hit.localName)) return hit === element;
  if (isWithin(hit, element)) return true;
  const label = hit.closest?.('label');
  if (label && label.control === element) return true;
  if (element.localName === 'label' && isWithin(hit, element)) return true;
  // A click on what lets clicks through lands on what holds it.
  return getComputedStyle(element).pointerEvents === 'none' && isWithin(element, hit);
};

const boxOf = (element) => {
  const rects = Array.from(element.getClientRects()).filter((rect) => rect.width > 0 && rect.height > 0);
  const rect = rects[0] ?? element.getBoundingClientRect();
  return { x: rect.x, y: rect.y, width: rect.width, height: rect.height };
};

const inWindow = (box) => {
  const left = Math.max(box.x, 0), top = Math.max(box.y, 0);
  const right = Math.min(box.x + box.width, innerWidth), bottom = Math.min(box.y + box.height, innerHeight);
  return right - left >= 1 && bottom - top >= 1 ? { left, top, right, bottom } : null;
};

const coverName = (cover) => cover ? plainName(cover.localName + ' ' + (nameOf(cover) || textOf(cover, 60)), 80) : 'nothing that can be hit';

// Where to point at an element, once it is in the window and stands still; or what is in the way.
thenar.point = async (number) => {
  const element = thenar.element(number);
  if (!element) return { gone: true };
  let box = boxOf(element);
  const seen = inWindow(box);
  const whole = seen && seen.right - seen.left >= Math.min(box.width, innerWidth) - 1 && seen.bottom - seen.top >= Math.min(box.height, innerHeight) - 1;
  if (!whole || !reaches(element, deepestAt((seen.left + seen.right) / 2, (seen.top + seen.bottom) / 2))) {
    element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    await nextFrame();
  }
  for (let tries = 0; tries < 12; tries += 1) {
    box = boxOf(element);
    await nextFrame();
    const now = boxOf(element);
    if (Math.abs(now.x - box.x) < 0.5 && Math.abs(now.y - box.y) < 0.5) break;
  }
  box = boxOf(element);
  const about = { tag: element.localName, type: element.type ?? '', disabled: workedBy(element).matches(':disabled') };
  const window = inWindow(box);
  if (!window) return { ...about, invisible: true };
  const at = (right, down) => ({ x: window.left + (window.right - window.left) * right, y: window.top + (window.bottom - window.top) * down });
  let cover = null;
  for (const [right, down] of [[0.5, 0.5], [0.5, 0.2], [0.5, 0.8], [0.2, 0.5], [0.8, 0.5], [0.05, 0.1], [0.95, 0.9]]) {
    const point = at(right, down);
    const hit = deepestAt(point.x, point.y);
    if (reaches(element, hit)) return { ...about, ...point };
    cover ??= hit;
  }
  return { ...about, ...at(0.5, 0.5), cover: coverName(cover) };
};

// Where an element stands in the window of its own frame, and how much a frame in it is scaled.
thenar.box = (number) => {
  const element = thenar.element(number);
  if (!element) return null;
  const rect = element.getBoundingClientRect();
  const style = getComputedStyle(element);
  const pixels = (name) => parseFloat(style[name]) || 0;
  const scale = element.offsetWidth > 0 ? rect.width / element.offsetWidth : 1;
  return {
    x: rect.x, y: rect.y, width: rect.width, height: rect.height, scale,
    inner_x: rect.x + (pixels('borderLeftWidth') + pixels('paddingLeft')) * scale,
    inner_y: rect.y + (pixels('borderTopWidth') + pixels('paddingTop')) * scale,
  };
};

// Scrolls everything around an element so that a point of it can be seen; `at` says where the point is now.
const bring = (element, at) => {
  const page = document.scrollingElement ?? document.documentElement;
  for (let box = parentOf(element); box instanceof Element; box = parentOf(box)) {
    const whole = box === page;
    if (!whole && (box === document.body || box === document.documentElement || getComputedStyle(box).overflow === 'visible')) continue;
    const rect = whole ? { left: 0, top: 0, right: innerWidth, bottom: innerHeight } : box.getBoundingClientRect();
    const { x, y } = at();
    const across = x < rect.left || x >= rect.right ? x - (rect.left + rect.right) / 2 : 0;
    const down = y < rect.top || y >= rect.bottom ? y - (rect.top + rect.bottom) / 2 : 0;
    if (across || down) box.scrollBy({ left: across, top: down, behavior: 'instant' });
  }
};

// Where a point of the frame that an element holds is in our window, once it can be seen there; and what is in the way: a click
// is taken by whatever lies over the frame, however free its target is inside.
thenar.through = async (number, x, y) => {
  const owner = thenar.element(number);
  if (!owner) return { gone: true };
  const at = () => {
    const box = thenar.box(number);
    return { x: box.inner_x + x * box.scale, y: box.inner_y + y * box.scale };
  };
  bring(owner, at);
  await nextFrame();
  const point = at();
  const hit = deepestAt(point.x, point.y);
  return { ...point, cover: hit === owner ? null : coverName(hit) };
};

// Boxes of numbered elements that can be seen now, for drawing.
thenar.boxes = (list) => list.flatMap((number) => {
  const element = thenar.element(number);
  const window = element && inWindow(boxOf(element));
  if (!window) return [];
  const hit = deepestAt((window.left + window.right) / 2, (window.top + window.bottom) / 2);
  return hit && (isWithin(hit, element) || isWithin(element, hit)) ? [[number, window.left, window.top, window.right, window.bottom]] : [];
});

// What a click on an element works: a label works its control.
const workedBy = (element) => (element?.localName === 'label' ? element.control : null) ?? element;

// The field for files that an element is, or that its label stands for.
thenar.fileField = (number) => {
  const field = workedBy(thenar.element(number));
  return field?.localName === 'input' && field.type === 'file' ? field : null;
};

// What typing into an element means.
thenar.field = (number) => {
  const element = number === null ? activeOf() : thenar.fileField(number) ?? thenar.element(number);
  if (!element) return { gone: true };
  const tag = element.localName;
  const type = tag === 'input' ? element.type : '';
  const special = ['color', 'date', 'datetime-local', 'month', 'range', 'time', 'week'].includes(type);
  const typed = tag === 'textarea' || (tag === 'input' && !special && !['checkbox', 'radio', 'button', 'submit', 'reset', 'image', 'file', 'hidden'].includes(type));
  const editable = element.isContentEditable || typed;
  return {
    tag, type, special, editable, file: type === 'file', many: element.multiple === true, empty: editable && (typed ? element.value : element.textContent) === '',
    has_focus: document.hasFocus(), frame: tag === 'iframe' || tag === 'frame',
    disabled: element.matches(':disabled'), read_only: element.readOnly === true, select: tag === 'select',
  };
};

const activeOf = () => {
  let active = document.activeElement;
  while (active && rootOf(active)?.activeElement) active = rootOf(active).activeElement;
  return active === document.body ? null : active;
};

thenar.isActive = (number) => activeOf() === thenar.element(number);
thenar.focus = (number) => { thenar.element(number)?.focus(); };

// Whether a field has taken anything since it was listened to: a page may keep keys from it.
let heard = false;
thenar.listen = (number) => {
  heard = false;
  thenar.element(number)?.addEventListener('input', () => { heard = true; }, { once: true, capture: true });
};
thenar.heard = () => heard;

// Whether the page has let something of it be dragged away since it was watched for that.
let dragged = false;
const noteDrag = (event) => { dragged = !event.defaultPrevented; };
thenar.watchDrag = () => {
  dragged = false;
  removeEventListener('dragstart', noteDrag);
  addEventListener('dragstart', noteDrag);
};
thenar.dragged = () => dragged;

const announce = (element) => {
  element.dispatchEvent(new Event('input', { bubbles: true, composed: true }));
  element.dispatchEvent(new Event('change', { bubbles: true }));
};

// Fields with a picker of their own, and those whose page keeps keys from them: the value is set and announced as the picker
// would. A value that the field does not take leaves the one that it had, and nothing is announced. What a password is stays
// in the page, also where it is added to: a person may have typed it.
thenar.setValue = (number, text, add) => {
  const element = thenar.element(number);
  if (!element) return { gone: true };
  const plain = (value) => element.type === 'color' ? value.toLowerCase() : value.replace(/\r\n?/g, '\n');
  const held = element.value;
  const wanted = add ? held + text : text;
  element.focus();
  element.value = wanted;
  const took = plain(element.value) === plain(wanted);
  if (took) announce(element);
  else element.value = held;
  return { took, value: element.type === 'password' ? null : element.value };
};

// Chooses options by label, value or place; says what there is if one is not there.
thenar.choose = (number, wanted) => {
  const element = thenar.element(number);
  if (!element) return { gone: true };
  if (element.localName !== 'select') return { not_select: true };
  if (element.matches(':disabled')) return { disabled: true };
  const all = Array.from(element.options);
  const find = (text) => {
    const plain = squeeze(text);
    const label = (option) => squeeze(option.label || option.text);
    return all.find((option) => label(option) === plain && !option.matches(':disabled')) ?? all.find((option) => label(option) === plain) ?? all.find((option) => option.value === text) ??
      all.find((option) => label(option).toLowerCase() === plain.toLowerCase());
  };
  const found = wanted.map(find);
  const missing = wanted.filter((_, index) => !found[index]);
  if (missing.length > 0) return { missing, options: all.slice(0, 60).map((option) => plainName(option.label || option.text, 60)) };
  if (found.length > 1 && !element.multiple) return { single: true };
  const closed = found.filter((option) => option.matches(':disabled'));
  if (closed.length > 0) return { closed: closed.map((option) => plainName(option.label || option.text, 60)) };
  element.focus();
  for (const option of all) {
    // Nobody could choose it or take it back.
    if (element.multiple && option.matches(':disabled')) continue;
    const chosen = found.includes(option);
    if (option.selected !== chosen) option.selected = chosen;
  }
  announce(element);
  return { chosen: Array.from(element.selectedOptions).map((option) => plainName(option.label || option.text, 60)) };
};

// How far something is scrolled: an element's nearest scroller, or the page.
const scrollerOf = (element) => {
  for (let at = element; at instanceof Element; at = parentOf(at)) {
    const overflow = getComputedStyle(at).overflowY;
    if (at.scrollHeight > at.clientHeight + 1 && (overflow === 'auto' || overflow === 'scroll' || overflow === 'overlay' || at.localName === 'textarea')) return at;
  }
  return document.scrollingElement ?? document.documentElement;
};

thenar.scrolled = (number) => {
  const element = number === null ? null : thenar.element(number);
  if (number !== null && !element) return { gone: true };
  const scroller = element ? scrollerOf(element) : document.scrollingElement ?? document.documentElement;
  return {
    top: Math.round(scroller.scrollTop), height: Math.round(scroller.scrollHeight), shown: Math.round(scroller.clientHeight),
    number: scroller === document.scrollingElement ? null : numbers.get(scroller) ?? null,
  };
};
