// Logs: the tail by cursor, with filters; downloads of log and recording.

import { h, fill, button } from './dom.js';
import { get } from './api.js';
import { clock, moment, bytes } from './format.js';

export const title = 'Logs';
const MOST = 1000;
let lines = [], cursor = 0, follow = true, paused = false, missed = 0, sizes = null, shown = null;
const filter = { level: '', event: '', text: '', worker: '', pool: '' };

const query = () => Object.entries(filter).filter(([, value]) => value).map(([key, value]) => '&' + key + '=' + encodeURIComponent(value)).join('');

export const polls = () => paused ? [] : [['logs', () => 'logs?limit=500&after=' + cursor + query(), 1000]];

export async function enter(app) {
  sizes = await get('recording').catch(() => null);
  const head = await fetch('/api/v1/logs/download?full=1', { method: 'HEAD' }).catch(() => null);
  if (sizes && head && head.ok) sizes.log = +head.headers.get('content-length');
  app.draw();
}

function take(answer) {
  if (!answer || answer === shown) return;
  shown = answer;
  if (answer.for && answer.for !== query()) return;
  missed += answer.missed;
  cursor = answer.cursor;
  lines = lines.concat(answer.lines).slice(-MOST);
}

function change(app, key, value) {
  filter[key] = value.trim();
  lines = []; cursor = 0; missed = 0; shown = app.data.logs; follow = true;
  app.route();
}

function row({ n, line }) {
  let entry;
  try { entry = JSON.parse(line); } catch { return h('details', { 'data-n': n }, h('summary', line)); }
  // The connection is named by its worker.
  const { ts, event, level, sid, ...rest } = entry;
  if (!rest.worker && sid) rest.sid = sid;
  const words = Object.entries(rest).map(([key, value]) => key + '=' + (typeof value === 'string' ? value : JSON.stringify(value))).join('  ');
  return h('details.' + (level || 'info'), { 'data-n': n }, h('summary', h('time', { title: moment(Date.parse(ts)) }, clock(Date.parse(ts))), ' ', { warn: '▲ ', error: '✖ ' }[level] || '', h('b', event), '  ' + words), h('pre', JSON.stringify(entry, null, 2)));
}

const field = (app, key, name, list) => h('label', name, list ? h('select', { onchange: event => change(app, key, event.target.value) }, list.map(([value, text]) => h('option', { value, selected: filter[key] === value }, text))) : h('input', { type: 'search', value: filter[key], onchange: event => change(app, key, event.target.value) }));

export function view(app) {
  take(app.data.logs);
  const log = sizes && sizes.log ? ' (about ' + bytes(sizes.log) + ')' : '';
  const pools = app.data.state ? app.data.state.pools.map(({ slot }) => [slot, slot]) : [];
  return [h('section.card', h('div.row', h('h2', 'Log'), h('div.flow', h('span.soft', { role: 'status' }, paused ? 'Paused' : follow ? 'Following' : 'Scrolled: not following'),
    !follow && !paused && h('button', { type: 'button', onclick: () => { follow = true; app.draw(); } }, 'Follow'),
    h('button', { type: 'button', 'aria-pressed': String(paused), onclick: () => { paused = !paused; app.route(); } }, paused ? 'Go on' : 'Pause'))),
  h('div.fields.narrow', field(app, 'level', 'Level', [['', 'All'], ['error,warn', 'Warnings and errors'], ['error', 'Errors'], ['error,warn,info', 'Without details']]), field(app, 'event', 'Event'), field(app, 'text', 'Text'), field(app, 'worker', 'Worker'), field(app, 'pool', 'Pool', [['', 'All'], ...pools])),
  missed > 0 && h('p.warn', '▲ ' + missed + ' lines went by faster than they could be shown.'),
  h('div.log', { id: 'log', keep: true, tabindex: 0, role: 'log', 'aria-label': 'Log lines', onscroll: event => { const el = event.target, end = el.scrollHeight - el.scrollTop - el.clientHeight < 40; if (end !== follow) { follow = end; app.draw(); } } })),
  h('section.card', h('h2', 'Downloads'), h('p.soft', 'For a bug report. Without names: wallets, passwords, workers and addresses are left out or replaced.'),
    h('div.flow', h('a.button', { href: '/api/v1/logs/download' }, 'Log' + log), h('a.button', { href: '/api/v1/logs/download?full=1' }, 'Log with all names' + log)),
    sizes && sizes.segments ? h('div.flow', h('a.button', { href: '/api/v1/recording/download?last=1' }, 'Last part of the recording (' + bytes(sizes.last_bytes) + ')'), h('a.button', { href: '/api/v1/recording/download' }, 'Whole recording (' + bytes(sizes.bytes) + ')'), h('a.button', { href: '/api/v1/recording/download?full=1' }, 'Whole recording with all names (' + bytes(sizes.bytes) + ')')) : h('p.soft', sizes && !sizes.enabled ? 'Nothing is recorded: recording.enabled is off.' : 'Nothing is recorded yet.'))];
}

/** Lines come and go at the ends; those between stay as they are, open ones open. */
export function after(app, main) {
  const el = main.querySelector('#log');
  if (!el) return;
  if (!lines.length) return fill(el, h('p.empty', Object.values(filter).some(Boolean) ? 'No line matches.' : 'No line yet.'));
  const first = lines[0].n, last = +(el.lastElementChild?.dataset.n || 0);
  for (const kid of [...el.children]) if (!kid.dataset.n || +kid.dataset.n < first) kid.remove();
  if (last > lines[lines.length - 1].n || !el.children.length) el.replaceChildren();
  const from = +(el.lastElementChild?.dataset.n || 0);
  el.append(...lines.filter(({ n }) => n > from).map(row));
  if (follow) el.scrollTop = el.scrollHeight;
}
