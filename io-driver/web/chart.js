// Charts in SVG: stacked areas, lines and bars over time, with gaps, marks, one crosshair for all, and a table behind each.
// The geometry is plain functions, which node tests.

import { h, fill } from './dom.js';
import { NONE, time, moment } from './format.js';

/** Round steps from 0 up to at least `max`: the values of the grid's lines; `whole` ones for what is counted. */
export function ticks(max, wanted = 4, whole = false) {
  if (!(max > 0)) return [0, 1];
  const raw = whole ? Math.max(1, max / wanted) : max / wanted, size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find(n => n * size >= raw * 0.999 && !(whole && n * size % 1)) * size;
  return Array.from({ length: Math.ceil(max / step - 1e-9) + 1 }, (_, i) => i * step);
}

/** Round times between two moments (seconds), in the viewer's zone: `zone` is its offset in seconds. */
export function timeTicks(start, end, wanted, zone = 0) {
  const raw = (end - start) / Math.max(1, wanted);
  const step = [60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 604800].find(n => n >= raw) || 1209600;
  const found = [];
  for (let t = Math.ceil((start + zone) / step) * step - zone; t <= end; t += step) found.push(t);
  return found;
}

const r = n => Math.round(n * 10) / 10;

/** A line through the values; where there is none it is broken. A value between two gaps is a dot. */
export function line(values, x, y) {
  let path = '', open = false;
  values.forEach((value, i) => {
    if (value == null) { open = false; return; }
    path += (open ? 'L' : 'M') + r(x(i)) + ' ' + r(y(value));
    if (!open && values[i + 1] == null) path += 'h.1';
    open = true;
  });
  return path;
}

/** The area between two rows of values, one closed piece for each run without a gap. */
export function area(top, bottom, x, y) {
  let path = '', from = 0;
  for (let i = 0; i <= top.length; i++) {
    if (i < top.length && top[i] != null) continue;
    if (i > from) {
      for (let j = from; j < i; j++) path += (j === from ? 'M' : 'L') + r(x(j)) + ' ' + r(y(top[j]));
      for (let j = i - 1; j >= from; j--) path += 'L' + r(x(j)) + ' ' + r(y(bottom[j] || 0));
      path += 'Z';
    }
    from = i + 1;
  }
  return path;
}

/** Each row on top of those before; a gap only where all have one. */
export function stack(rows) {
  const sum = [];
  return rows.map(row => row.map((value, i) => {
    if (value == null && sum[i] == null) return null;
    return sum[i] = (sum[i] || 0) + (value || 0);
  }));
}

/** Runs of places where `test` holds: [from, to). */
export function runs(values, test) {
  const found = [];
  values.forEach((value, i) => {
    if (!test(value, i)) return;
    const last = found[found.length - 1];
    if (last && last[1] === i) last[1]++; else found.push([i, i + 1]);
  });
  return found;
}

const charts = new Set();
let cross = null, ids = 0;

function crossAt(start, part) {
  cross = part == null ? null : { start, part };
  for (const chart of charts) chart.isConnected ? chart.cross() : charts.delete(chart);
}

/** A card's chart; `spec`: title, start, width (s), rows [{name, tone, values, dash}], show (value → text), kind, max. */
export function chart(spec) {
  const id = 'chart-' + spec.title.replace(/\W+/g, '-');
  return h('section.card.chart', { 'aria-labelledby': id, class: spec.class || '' },
    h('div.row', h('h2', { id }, spec.title), spec.controls), h('div.plot', { keep: true, data: spec }));
}

/** Marks as [mark, place, with a line]: where there are many, flags alone and none over another of its kind; a block always. */
export function placed(marks, x, wide) {
  const last = {}, many = marks.length > wide / 40;
  return marks.map(mark => [mark, x(mark), !many || mark.kind === 'block']).filter(([{ kind }, at]) => {
    const free = kind === 'block' || last[kind] === undefined || at - last[kind] >= 9;
    if (free) last[kind] = at;
    return free;
  });
}

/** Draws what `chart` has put into the page; again when data or width have changed. */
export function drawAll(root) {
  for (const plot of root.querySelectorAll('.plot')) {
    if (plot.drawn === plot.data && plot.wide === plot.clientWidth) continue;
    plot.drawn = plot.data;
    plot.wide = plot.clientWidth;
    draw(plot, plot.data);
  }
}

function draw(plot, spec) {
  const { rows, start, width, show } = spec, n = rows.length ? rows[0].values.length : 0;
  const seen = rows.some(row => row.values.some(value => value != null));
  if (!seen) return fill(plot, h('p.empty', spec.empty || 'Collecting: the first values come after ' + (width < 60 ? width + ' s.' : Math.round(width / 60) + ' min.')));
  const stacked = spec.kind !== 'line', tops = stacked ? stack(rows.map(row => row.values)) : rows.map(row => row.values);
  const most = tops.reduce((max, row) => row.reduce((m, value) => Math.max(m, value || 0), max), 0);
  const grid = ticks(spec.max || most, 4, spec.whole), top = spec.max || grid[grid.length - 1];
  const W = Math.max(260, plot.clientWidth), H = spec.height || 190, left = 66, right = 10, foot = 22, head = 8;
  const x = i => left + (i + .5) * (W - left - right) / n, y = value => H - foot - value / top * (H - foot - head);
  const end = start + n * width, at = t => left + (t - start) / (end - start) * (W - left - right);
  const hatch = 'hatch' + ++ids, days = end - start > 90000;
  const svg = h('svg', { viewBox: `0 0 ${W} ${H}`, width: W, height: H, tabindex: 0, role: 'img', 'aria-label': spec.title + ': ' + summary(spec) + ' Arrow keys read single values.' },
    h('defs', h('pattern', { id: hatch, width: 7, height: 7, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' }, h('rect.hatch-bg', { width: 7, height: 7 }), h('path.hatch', { d: 'M0 0V7' }))),
    (spec.shade || []).map(([from, to]) => h('rect.shade', { x: r(x(from - .5)), y: head, width: r(x(to - .5) - x(from - .5)), height: H - foot - head })),
    grid.map(value => h('g', h('path.grid', { d: `M${left} ${r(y(value))}H${W - right}` }), h('text.tick.end', { x: left - 8, y: r(y(value) + 4) }, show(value)))),
    timeTicks(start, end, W / 110, -new Date(start * 1000).getTimezoneOffset() * 60).filter(t => at(t) > left + 14 && at(t) < W - 22).map(t => h('text.tick.mid', { x: r(at(t)), y: H - 5 }, time(t * 1000, days))));
  const lines = [];
  rows.forEach((row, i) => {
    const tone = row.tone;
    if (spec.kind === 'bars') {
      const wide = Math.max(1, (W - left - right) / n - 1), below = i ? tops[i - 1] : [];
      svg.append(h('path.bar.' + tone, { d: tops[i].map((value, j) => row.values[j] ? `M${r(x(j) - wide / 2)} ${r(y(below[j] || 0))}V${r(y(value))}h${r(wide)}V${r(y(below[j] || 0))}Z` : '').join('') }));
      return;
    }
    if (stacked) svg.append(h('path.area.' + tone, { d: area(tops[i], i ? tops[i - 1] : [], x, y), fill: tone === 'poolB' ? `url(#${hatch})` : null }));
    lines.unshift(h('path.line.' + tone + (row.dash ? '.dash' : ''), { d: line(tops[i], x, y) }));
  });
  // The first on top: an area is not seen in the colour of an empty one above it.
  svg.append(...lines);
  const marks = (spec.marks || []).filter(mark => mark.at / 1000 >= start && mark.at / 1000 <= end);
  for (const [mark, X, whole] of placed(marks, mark => r(at(mark.at / 1000)), W)) {
    svg.append(h('g.mark.' + mark.kind, h('title', moment(mark.at) + ': ' + mark.text), whole && h('path', { d: `M${X} ${head}V${H - foot}` }), h('path.flag', { d: `M${X - 4} ${head - 6}h8l-4 6z` })));
  }
  const needle = h('path.needle', { d: '' }), when = h('span.when', ''), cells = rows.map(() => h('b', ''));
  svg.append(needle);
  const legend = h('div.legend', rows.map((row, i) => h('span', h('svg.key', { viewBox: '0 0 22 8', width: 22, height: 8, 'aria-hidden': 'true' }, h('path.line.' + row.tone + (row.dash ? '.dash' : ''), { d: 'M1 4H21' })), row.name + ' ', cells[i])), when);
  plot.cross = () => {
    const i = cross && cross.start === start ? Math.min(n - 1, Math.floor(cross.part * n)) : null;
    needle.setAttribute('d', i == null ? '' : `M${r(x(i))} ${head}V${H - foot}`);
    rows.forEach((row, k) => { cells[k].textContent = i == null ? '' : row.values[i] == null ? NONE : show(row.values[i]); });
    when.textContent = i == null ? '' : [...marks.filter(mark => Math.floor((mark.at / 1000 - start) / width) === i).map(mark => mark.text), moment((start + i * width) * 1000)].join(' · ');
  };
  const move = event => { const box = svg.getBoundingClientRect(), part = ((event.clientX - box.left) * W / box.width - left) / (W - left - right); crossAt(start, part >= 0 && part < 1 ? part : null); };
  svg.addEventListener('pointermove', move);
  svg.addEventListener('pointerdown', move);
  svg.addEventListener('pointerleave', event => event.pointerType === 'mouse' && crossAt(start, null));
  svg.addEventListener('blur', () => crossAt(start, null));
  svg.addEventListener('keydown', event => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12 }[event.key];
    if (!step && event.key !== 'Escape') return;
    event.preventDefault();
    const now = cross && cross.start === start ? Math.floor(cross.part * n) : n;
    crossAt(start, step ? (Math.min(n - 1, Math.max(0, now + step)) + .5) / n : null);
  });
  // A table that is being read stays as it is.
  const table = plot.querySelector('details[open]') || h('details', { ontoggle: event => event.target.open && fill(event.target.lastChild, tableOf(spec)) }, h('summary', 'Show as table'), h('div.scroll', { tabindex: 0 }));
  const here = document.activeElement === plot.querySelector('svg[tabindex]'), before = cross;
  plot.replaceChildren(legend, svg, table);
  charts.add(plot);
  if (here) { svg.focus({ preventScroll: true }); cross = before && { ...before, start }; }
  plot.cross();
}

function summary(spec) {
  return spec.rows.map(row => { const last = [...row.values].reverse().find(value => value != null); return row.name + (last == null ? ' none' : ' last ' + spec.show(last)); }).join(', ') + '.';
}

function tableOf(spec) {
  const { rows, start, width, show } = spec, lines = [];
  for (let i = rows[0].values.length - 1; i >= 0; i--) {
    if (rows.some(row => row.values[i] != null)) lines.push(h('tr', h('th', { scope: 'row' }, moment((start + i * width) * 1000)), rows.map(row => h('td', row.values[i] == null ? NONE : show(row.values[i])))));
  }
  return h('table', h('thead', h('tr', h('th', { scope: 'col' }, 'From'), rows.map(row => h('th', { scope: 'col' }, row.name)))), h('tbody', lines));
}

/** A small line without axes. */
export function spark(values) {
  const max = Math.max(1e-9, ...values.map(value => value || 0));
  return h('svg.spark', { viewBox: '0 0 90 22', width: 72, height: 22, 'aria-hidden': 'true' }, h('path.line', { d: line(values, i => 1 + i * 88 / Math.max(1, values.length - 1), value => 20 - value / max * 18) }));
}
