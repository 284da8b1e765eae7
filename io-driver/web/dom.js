// Elements from data. Texts become text nodes, never markup: worker names come from the network.

const SVG = new Set('svg g path line rect text defs pattern title'.split(' '));

function build(tag, props, kids) {
  const el = SVG.has(tag) && tag !== 'title' ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(props || {})) {
    if (value == null || value === false) continue;
    if (key.startsWith('on')) on(el, key.slice(2), value);
    else if (key === 'style') Object.assign(el.style, value);
    else if (key === 'data') el.data = value;
    else el.setAttribute(key, value === true ? '' : value);
  }
  for (const kid of kids.flat(9)) if (kid != null && kid !== false) el.append(kid.nodeType ? kid : document.createTextNode(kid));
  return el;
}

// One listener a kind of event; what it calls can be replaced.
function on(el, kind, call) {
  if (!el.calls) el.calls = {};
  if (!el.calls[kind]) el.addEventListener(kind, event => el.calls[kind] && el.calls[kind](event));
  el.calls[kind] = call;
}

/** h('p.note', {onclick}, 'text', child) */
export function h(tag, props, ...kids) {
  if (props == null || props.nodeType || typeof props !== 'object' || Array.isArray(props)) { kids.unshift(props); props = {}; }
  const [name, ...classes] = tag.split('.');
  const all = [...classes, props.class].filter(Boolean).join(' ');
  return build(name, all ? { ...props, class: all } : props, kids);
}

/** Makes `old` look like `next`, touching only what differs: focus, scrolling and open details stay. */
export function morph(old, next) {
  if (old.nodeType !== next.nodeType || old.nodeName !== next.nodeName || old.id !== next.id) return old.replaceWith(next);
  if (old.nodeType === 3) { if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue; return; }
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name) && name !== 'open' && name !== 'style') old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (name !== 'style' && old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.style.cssText !== next.style.cssText) old.style.cssText = next.style.cssText;
  for (const [kind, call] of Object.entries(next.calls || {})) on(old, kind, call);
  for (const kind of Object.keys(old.calls || {})) if (!next.calls || !next.calls[kind]) delete old.calls[kind];
  // What somebody is typing stays.
  if (next.hasAttribute('value') && old.value !== next.value && (old !== document.activeElement || old.type === 'range')) old.value = next.value;
  if (old.type === 'checkbox') old.checked = next.checked;
  old.data = next.data;
  // Its inside is drawn by somebody else.
  if (next.hasAttribute('keep')) return;
  const before = [...old.childNodes], after = [...next.childNodes];
  after.forEach((kid, i) => before[i] ? morph(before[i], kid) : old.append(kid));
  before.slice(after.length).forEach(kid => kid.remove());
  if (old.nodeName === 'SELECT' && old !== document.activeElement) old.value = next.value;
}

/** Puts these children into an element. */
export function fill(el, ...kids) {
  if (el.hasAttribute('keep')) return el.replaceChildren(...kids);
  const next = el.cloneNode(false);
  next.append(...kids.flat(9).filter(kid => kid != null && kid !== false));
  next.data = el.data;
  next.calls = el.calls;
  morph(el, next);
}

/** A word with its sign: never colour alone. */
export function badge(kind, text) {
  const sign = { good: '●', warn: '▲', bad: '✖', note: '○' }[kind];
  return h('span.badge.' + kind, h('span', { 'aria-hidden': 'true' }, sign + ' '), text);
}

/** The letter of a pool. */
export const letter = slot => h('span.letter.pool' + slot, slot);

/** A small table to compare by: heads across, and lines of a name and its cells. */
export const pairs = (label, corner, heads, lines) => h('div.scroll.whole', { tabindex: 0, role: 'region', 'aria-label': label }, h('table.pairs', h('thead', h('tr', h('td', corner), heads.map(head => h('th', { scope: 'col' }, head)))),
  h('tbody', lines.map(([name, ...cells]) => h('tr', h('th', { scope: 'row' }, name), cells.map(cell => h('td', cell)))))));

/** A button that is busy until its work is done. */
export function button(text, work, props = {}) {
  return h('button', { type: 'button', ...props, onclick: async event => {
    const el = event.currentTarget;
    if (el.hasAttribute('aria-busy')) return;
    el.setAttribute('aria-busy', 'true');
    try { await work(event); } finally { el.removeAttribute('aria-busy'); }
  } }, text);
}

/** A dialog over the page; resolves with what `close` is given. */
export function dialog(title, content, wide) {
  return new Promise(resolve => {
    let result;
    const close = value => { result = value; el.close(); };
    const el = h('dialog' + (wide ? '.wide' : ''), { 'aria-labelledby': 'dialog-title', onclose: () => { el.remove(); resolve(result); } });
    el.append(h('div.row', h('h2', { id: 'dialog-title' }, title), h('button.plain', { type: 'button', 'aria-label': 'Close', onclick: () => close() }, '✕')), content(close));
    document.body.append(el);
    el.showModal();
  });
}

/** Offers a text as a file. */
export function save(name, kind, text) {
  const url = URL.createObjectURL(new Blob([text], { type: kind }));
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
