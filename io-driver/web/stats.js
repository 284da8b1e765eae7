// Stats: miners, pools, records. The table is also on Home, shorter.

import { h, badge, letter, pairs, dialog, save } from './dom.js';
import { get } from './api.js';
import { rate, si, percent, odds, count, span, ago, moment, csv, NONE } from './format.js';
import { spark } from './chart.js';
import { now } from './app.js';
import { lost, times } from './measured.js';

export const title = 'Stats';
export const polls = () => [['workers', 'workers', 4000], ['pools', 'pools', 4000], ['records', 'records', 15000]];

let sort = ['m5', -1], filter = '', hidden = new Set(JSON.parse(localStorage.hidden || '["h24","part","since","agent","ever","diff","late"]'));
const STATE = { active: ['good', 'Active'], low: ['warn', 'Low'], silent: ['warn', 'Silent'], offline: ['note', 'Offline'] };
const bad = w => w.accepted + w.rejected ? w.rejected / (w.accepted + w.rejected) * 100 : null;
const late = w => w.late == null || !w.ended ? null : w.late / w.ended * 100;
const dropped = w => w.ended ? w.dropped / w.ended * 100 : null;
/** Its last share; before the first, when one is expected. */
const last = w => w.last_share == null && w.expected_share_s != null ? 'none yet, expected within ' + span(w.expected_share_s) : ago(w.last_share, now());

// key, header, value to sort and export, how it is shown, words for phones
const COLUMNS = [
  ['state', 'State', w => Object.keys(STATE).indexOf(w.state), w => badge(...STATE[w.state])],
  ['agent', 'Firmware', w => w.agent, w => w.agent || NONE],
  ['spark', 'Last hour', null, w => w.spark ? spark(w.spark) : NONE],
  ['m5', '5 min', w => w.hashrate.m5, w => rate(w.hashrate.m5)],
  ['h1', '1 h', w => w.hashrate.h1, w => rate(w.hashrate.h1)],
  ['h24', '24 h', w => w.hashrate.h24, w => rate(w.hashrate.h24)],
  ['spm', 'A minute', w => w.shares_per_minute.m5, w => si(w.shares_per_minute.m5)],
  ['part', 'Of all', w => w.part, w => percent(w.part)],
  ['diff', 'Difficulty', w => w.difficulty, w => si(w.difficulty)],
  ['pool', 'On pool', w => w.pool, w => w.pool ? letter(w.pool) : NONE],
  ['ok', 'Accepted', w => w.accepted, w => count(w.accepted)],
  ['rej', 'Rejected', bad, w => count(w.rejected) + (bad(w) == null ? '' : ' (' + percent(bad(w)) + ')')],
  ['drop', 'Dropped', dropped, w => percent(dropped(w))],
  ['late', 'Late', late, w => percent(late(w))],
  ['best', 'Best', w => w.best && w.best.difficulty, w => w.best ? si(w.best.difficulty) : NONE],
  ['ever', 'Best ever', w => w.best_ever && w.best_ever.difficulty, w => w.best_ever ? si(w.best_ever.difficulty) : NONE],
  ['last', 'Last share', w => w.last_share, last],
  ['since', 'Known since', w => w.since, w => ago(w.since, now())],
];
const SHORT = ['state', 'spark', 'm5', 'h1', 'pool', 'ok', 'rej', 'best', 'last'];

const value = (w, key) => key === 'name' ? w.name.toLowerCase() : COLUMNS.find(([name]) => name === key)[2](w);

function order(rows) {
  const [key, way] = sort;
  return [...rows].sort((a, b) => {
    const x = value(a, key), y = value(b, key);
    return (x == null) - (y == null) || (x < y ? -way : x > y ? way : 0) || (a.name < b.name ? -1 : 1);
  });
}

/** The miners' table; `most` rows for the short one. */
export function table(app, rows, most) {
  if (!rows.length) return h('p.empty', 'No miner has connected yet. ', h('a', { href: '#about' }, 'See the address to give them.'));
  const columns = COLUMNS.filter(([key]) => most ? SHORT.includes(key) : !hidden.has(key)), shown = order(rows).slice(0, most || 2000);
  const head = (key, text, left) => h('th', { scope: 'col', class: left ? 'left' : null, 'aria-sort': sort[0] === key ? sort[1] > 0 ? 'ascending' : 'descending' : null }, key === 'spark' ? text : h('button', { type: 'button', onclick: () => { sort = [key, sort[0] === key ? -sort[1] : key === 'name' || key === 'state' ? 1 : -1]; app.draw(); } }, text, h('span', { 'aria-hidden': 'true' }, sort[0] === key ? sort[1] > 0 ? ' ▲' : ' ▼' : '')));
  const sum = key => rows.reduce((all, w) => all + (w.hashrate[key] || 0), 0);
  return [h('div.scroll' + (shown.length > 20 ? '' : '.whole'), { tabindex: 0, role: 'region', 'aria-label': 'Miners' }, h('table.cards', h('thead', h('tr', head('name', 'Miner', true), columns.map(([key, text]) => head(key, text)))),
    h('tbody', shown.map(w => h('tr.link', h('td.name', h('button', { type: 'button', title: w.name, onclick: () => detail(w.name) }, w.name), w.agent && hidden.has('agent') && h('small.soft', w.agent)), columns.map(([, text, , show]) => h('td', { 'data-label': text }, show(w)))))))),
    !most && h('p.soft', shown.length + ' of ' + rows.length + ' miners · together ' + rate(sum('m5'))), most && rows.length > most && h('p.soft', 'and ' + (rows.length - most) + ' more')];
}

async function detail(name) {
  const w = await get('workers/' + encodeURIComponent(name)).catch(error => ({ error }));
  const fact = (key, what) => h('div', h('dt', key), h('dd', what));
  dialog(name, () => w.error ? h('p.bad', w.error.message) : h('div.form',
    h('dl.facts', fact('State', badge(...STATE[w.state])), fact('Firmware', w.agent || NONE), fact('Address', w.peers && w.peers.length ? w.peers.join(', ') : NONE), fact('Difficulty', si(w.difficulty)), fact('5 min', rate(w.hashrate.m5)), fact('1 h', rate(w.hashrate.h1)), fact('24 h', rate(w.hashrate.h24)), fact('Shares a minute, 5 min · 1 h · 24 h', Object.values(w.shares_per_minute).filter(n => n != null).map(n => si(n)).join(' · ') || NONE), fact('Known since', moment(w.since)), fact('Last share', last(w)), fact('Changes of pool', count(w.switches)), fact('Connections so far', count(w.connects))),
    h('h3', 'By pool'), h('table', h('thead', h('tr', ['Pool', 'Good', 'Refused or lost', 'Work'].map(text => h('th', { scope: 'col' }, text)))), h('tbody', (w.by_pool || []).map(row => h('tr', h('td', letter(row.pool)), h('td', count(row.good)), h('td', count(row.bad)), h('td', si(row.work)))))),
    h('h3', 'What became of its shares'), h('dl.facts', Object.entries(w.by_outcome || {}).filter(([, n]) => n).map(([key, n]) => fact(key.replace(/_/g, ' '), count(n)))),
    w.log && w.log.length ? [h('h3', 'Lately'), h('ul.events', { tabindex: 0, 'aria-label': 'Lately' }, w.log.map(line => h('li', h('time', moment(line.at)), h('span', line.text))))] : null), true);
}

const UNIT = { m5: ', H/s', h1: ', H/s', h24: ', H/s', part: ', %', rej: ', %', drop: ', %', late: ', %' };
const cell = (w, [key, , of]) => key === 'state' ? w.state : (key === 'last' || key === 'since') && of(w) ? new Date(of(w)).toISOString() : of(w);

function export_(rows) {
  const columns = COLUMNS.filter(([, , of]) => of);
  save('dpmp-miners.csv', 'text/csv', csv(['Miner', ...columns.map(([key, text]) => text + (UNIT[key] || ''))]) + order(rows).map(w => csv([w.name, ...columns.map(column => cell(w, column))])).join(''));
}

const choose = app => h('details', h('summary', 'Columns'), h('div.flow', COLUMNS.map(([key, text]) => h('label.check', h('input', { type: 'checkbox', checked: !hidden.has(key), onchange: event => { event.target.checked ? hidden.delete(key) : hidden.add(key); localStorage.hidden = JSON.stringify([...hidden]); app.draw(); } }), text))));

// A pool a column, so that they are compared line by line, and nothing is too wide.
const LINES = [
  ['Chain', p => p.chain || NONE],
  ['Connected, of the time', p => percent(p.up_percent)],
  ['Hash rate, 5 min', p => rate(p.hashrate.m5)],
  ['1 h', p => rate(p.hashrate.h1)],
  ['24 h', p => rate(p.hashrate.h24)],
  ['Round trip, p50 · p99', p => times(p.response_ms)],
  ['Accepted', p => count(p.accepted)],
  ['Rejected', p => count(p.rejected) + (bad(p) == null ? '' : ' (' + percent(bad(p)) + ')')],
  ['Commonest reason', p => p.top_reject || NONE],
  ['Never answered', p => count(p.lost)],
  ['Work, by difficulty', p => si(p.work)],
  ['Jobs', p => count(p.jobs)],
  ['Reconnects', p => count(p.reconnects)],
  ['A block is expected in', p => span(p.block_seconds)],
  ['Odds of one a day', p => odds(p.block_odds_per_day)],
];
const pools = list => h('section.card.c6', h('h2', 'Pools'), pairs('Pools', '', list.map(p => [letter(p.slot), ' ' + p.name]), LINES.map(([name, show]) => [name, ...list.map(show)])));

function records(data) {
  if (!data) return null;
  const list = (name, rows, empty) => [h('h3', name), rows.length ? h('ul.events', { tabindex: 0, 'aria-label': name }, rows.map(row => h('li', h('b', si(row.difficulty)), h('span', row.worker, row.pool && ' · ' + row.pool), row.at && h('time', moment(row.at)), row.hash && h('code', row.hash)))) : h('p.soft', empty)];
  const { imported, switching } = data, { per_hour, lost_ratio } = switching;
  const old = Object.entries(imported || {}).map(([worker, difficulty]) => ({ worker, difficulty })).sort((a, b) => b.difficulty - a.difficulty);
  return h('section.card.c6', h('h2', 'Records'), list('Block candidates', data.blocks, 'None yet. One is kept here for good.'), list('Best shares of all time', data.best, 'None yet.'),
    old.length > 0 && [list('Imported from v2, kept apart', old), h('p.soft', 'v2 kept the difficulty that a share was assigned, not that of its hash: these are not to be compared with those above.')],
    h('h3', 'Changes of pool, last hour'), h('p.soft', per_hour == null ? 'How many: not yet known' : count(per_hour) + ' an hour', ' · work lost to them: ', lost_ratio == null ? 'not yet known' : percent(lost_ratio * 100) + ' (' + lost(switching) + ')'));
}

export function view(app) {
  const { workers, pools: answer } = app.data, text = filter.toLowerCase();
  const rows = workers ? workers.workers.filter(w => !text || (w.name + ' ' + w.agent + ' ' + w.state + ' ' + (w.pool || '')).toLowerCase().includes(text)) : [];
  return [h('section.card', h('div.row', h('h2', 'Miners'), h('div.flow', h('input', { type: 'search', placeholder: 'Filter', 'aria-label': 'Filter miners', value: filter, oninput: event => { filter = event.target.value; app.draw(); } }), h('button', { type: 'button', onclick: () => export_(rows) }, 'CSV'))), choose(app),
    !workers ? h('p.empty', 'Collecting…') : workers.workers.length && !rows.length ? h('p.empty', 'No miner matches.') : table(app, rows)), answer && pools(answer.pools), records(app.data.records)];
}
