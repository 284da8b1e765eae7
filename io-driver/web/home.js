// Home: what needs attention, the key figures, the split and its control, the pools, the charts.

import { h, badge, letter, pairs, button } from './dom.js';
import { post } from './api.js';
import { rate, si, percent, points, odds, tiny, count, ms, span, ago, clock, moment, NONE } from './format.js';
import { chart, runs } from './chart.js';
import { now } from './app.js';
import { table } from './stats.js';
import { undo as undoConfig } from './config.js';
import { cost, measured, times } from './measured.js';

export const title = 'Home';
let range = '1h', drag = null, sending = 0, said = null;
export const polls = () => [['series', 'series?range=' + range, 10000], ['workers', 'workers', 10000], ['events', 'events', 10000]];

const dismissed = () => JSON.parse(localStorage.dismissed || '[]');

function banners(app, { banners }) {
  const gone = dismissed().filter(id => banners.some(banner => banner.id === id));
  return banners.filter(({ id }) => !gone.includes(id)).slice(0, 3).map(({ id, weight, title, text, dismiss, link, undo }) => h('div.banner.' + weight, { role: weight === 'bad' ? 'alert' : 'status' },
    h('p', h('b', ({ bad: '✖ ', warn: '▲ ' }[weight] || '') + title), text),
    link && location.hash !== link && h('a.button', { href: link }, link === '#config' ? 'Open config' : 'Open stats'),
    undo && button('Undo', () => undoConfig(app, undo)),
    dismiss && h('button', { type: 'button', onclick: () => { localStorage.dismissed = JSON.stringify([...gone, id]); app.draw(); } }, 'Dismiss')));
}

/** The first line, as long as it is true: nobody is missing, each pool takes shares, nothing is the proxy's fault. */
function well({ banners, miners, pools, shares }) {
  const used = pools.filter(pool => pool.weight > 0), { known, active } = miners, all = shares.accepted + shares.rejected, good = shares.accepted / all * 100;
  if (banners.length || !known || active < known || !(good >= 98) || shares.dropped * 50 > shares.submitted || shares.faults.proxy || used.some(pool => pool.state !== 'up')) return null;
  return h('p.good', h('b', '● All is well. '), (known > 1 ? 'All ' + known + ' miners work' : 'The miner works') + ', ' + used.map(pool => 'pool ' + pool.slot).join(' and ') + (used.length > 1 ? ' are' : ' is') + ' connected, ' + percent(good) + ' of the shares that were sent there were accepted.');
}

function setup(app, state) {
  const { password, pools, miner } = state.setup;
  if (password && pools && miner) return null;
  const step = (done, n, title, text, action) => h('li', { class: done ? 'done' : '' }, h('b', h('span', { class: done ? 'good' : '' }, done ? '● ' : n + '. '), title), h('span.soft', done ? 'Done.' : text), !done && action);
  return h('section.card', h('h2', 'Welcome. Three steps, then it mines'), h('ol.steps',
    step(password, 1, 'Sign in', 'The first password stands in dashboard-password.txt beside the config; then choose your own.', button('Sign in', app.login)),
    step(pools, 2, 'Set pools and wallets', 'Replace the example’s values by your own.', h('a.button', { href: '#config' }, 'Open config')),
    step(miner, 3, 'Point your miners here', 'Any user, any password: only the name behind the last dot counts.', h('a.button', { href: '#about' }, 'Show the address'))));
}

const kpi = (name, value, ...below) => h('div.kpi', h('span', name), h('b', value), h('span', below));

/** No share yet: when the first of all miners is expected. */
function firstShare(workers) {
  const times = (workers ? workers.workers : []).map(w => w.expected_share_s).filter(s => s != null);
  return 'no share yet' + (times.length ? ' (expected within ' + span(Math.min(...times)) + ')' : '');
}

function kpis(state, workers) {
  const { hashrate, split, shares, best, miners, pools } = state, five = split.windows.m5, slots = pools.map(pool => pool.slot);
  const round = slots.length === 2 ? a => [Math.round(a[0]), 100 - Math.round(a[0])] : a => a.map(Math.round);
  const parts = five && !five.collecting ? round(slots.map(slot => five.pools[slot].achieved)).join(' / ') + ' %' : null;
  const error = five && !five.collecting && slots.length === 2 && five.pools.A.error;
  const all = shares.accepted + shares.rejected, { dropped } = shares;
  return h('div.kpis',
    kpi('Hash rate, 5 min', hashrate.m5 == null ? (miners.known ? 'Collecting' : NONE) : rate(hashrate.m5), hashrate.h1 == null ? '1 h and 24 h follow' : ['1 h ', rate(hashrate.h1), hashrate.h24 != null && ' · 24 h ' + rate(hashrate.h24)]),
    kpi('Split ' + slots.join(' / ') + ', 5 min', parts || (miners.known ? 'Collecting' : NONE), 'target ', slots.map(slot => +split.weights[slot].toFixed(1)).join(' / ') + ' %', error != null && error !== false && ' · ' + points(error)),
    kpi('Shares accepted', count(shares.accepted), 'rejected ', count(shares.rejected), all ? ' (' + percent(shares.rejected / all * 100) + ')' : '', dropped ? h(shares.dropped * 50 > shares.submitted ? 'span.warn' : 'span', ' · dropped ' + count(shares.dropped) + ' (' + percent(shares.dropped / shares.submitted * 100) + ')') : '', shares.credited ? ' · credited ' + count(shares.credited) : ''),
    kpi(...cost(state)),
    kpi('Best share', best && best.session ? si(best.session.difficulty) : NONE, best && best.session ? [best.session.worker, ' · ', best.session.pool, ' · ', ago(best.session.at, now()), best.session.network_percent != null ? ' · ' + tiny(best.session.network_percent) + ' of network' : ''] : firstShare(workers)),
    kpi('Miners', miners.active + miners.low + ' of ' + miners.known, miners.silent ? h('span.warn', '▲ ' + miners.silent + ' silent ') : '', miners.low ? h('span.warn', '▲ ' + miners.low + ' low ') : '', miners.offline ? miners.offline + ' offline' : miners.known && !miners.silent && !miners.low ? 'all active' : miners.known ? '' : 'none yet'));
}

/** Sends weights, and offers the way back for ten seconds. */
async function send(app, path, body) {
  const turn = ++sending;
  const answer = await app.act(() => post(path, body));
  if (turn !== sending) return;
  drag = null;
  app.ask('state');
  if (!answer) return app.draw();
  // The slider does not jump back until the next state comes.
  app.data.state.split.weights = answer.weights;
  app.draw();
  // An older one's Undo would no longer go back to what it says.
  if (said) said.remove();
  said = app.toast('Weights ' + Object.values(answer.weights).map(w => +w.toFixed(1)).join(' / ') + ' % are in force.' + (answer.text ? ' ' + answer.text : ''), path === 'weights/undo' ? null : ['Undo', () => send(app, 'weights/undo')], 10000);
}

let later;
function set(app, value, wait) {
  drag = Math.max(0, Math.min(100, value));
  app.draw();
  clearTimeout(later);
  if (wait != null) later = setTimeout(() => send(app, 'weights', { A: drag, B: 100 - drag }), wait);
}

function allocation(app, state) {
  const { split, pools, mode } = state, { auto_balance: auto } = mode, two = pools.length === 2;
  const a = drag ?? split.weights.A, whole = n => +n.toFixed(1);
  const can = app.session.signed_in, edge = two && (a === 0 || a === 100);
  const head = h('div.row', h('h2', 'Hash rate allocation'), h('div.switch', { role: 'group', 'aria-label': 'How the weights are set' },
    h('button', { type: 'button', 'aria-pressed': String(!auto.active), onclick: () => auto.active && app.act(() => post('mode', { auto_balance: false })).then(() => app.ask('state')) }, 'Slider'),
    h('button', { type: 'button', 'aria-pressed': String(!!auto.active), disabled: !auto.available || !can, title: auto.text, onclick: () => app.act(() => post('mode', { auto_balance: true })).then(() => app.ask('state')) }, 'Auto-balance')));
  const side = (pool, value, end) => h('label.' + pool.slot + (end ? '.end' : ''), h('b', whole(value) + ' %'), h('small', 'Pool ' + pool.slot + (pool.chain ? ' · ' + pool.chain : '')));
  const exact = (slot, value) => h('label.flow', h('span.soft', slot), h('input', { type: 'number', min: 0, max: 100, step: .1, value: whole(value), disabled: !can, 'aria-label': 'Exact share of pool ' + slot + ' in percent', onchange: event => event.target.value !== '' && event.target.reportValidity() && set(app, slot === 'A' ? +event.target.value : 100 - event.target.value, 0) }));
  const slider = two && h('input', { type: 'range', min: 0, max: 100, step: 1, value: Math.round(a), disabled: !can, 'aria-label': 'Share of pool A in percent', 'aria-valuetext': `Pool A ${whole(a)} %, pool B ${whole(100 - a)} %`, oninput: event => set(app, +event.target.value), onchange: event => set(app, +event.target.value, 350) });
  if (slider) slider.style.setProperty('--at', a + '%');
  return h('section.card', head,
    two ? h('div.alloc', side(pools[0], a), h('div.mid', slider), side(pools[1], 100 - a, true)) : fields(app, split, pools),
    achieved(split, pools),
    h('p.soft', words(split, pools)),
    edge && h('p.warn', '▲ A pool at 0 % is not connected and takes nothing over, even when the other fails.'),
    h('div.flow', !can && button('Sign in to change', app.login), two && can && [exact('A', a), exact('B', 100 - a)],
      split.undo && can && button('Undo (back to ' + Object.values(split.undo).map(whole).join(' / ') + ')', () => send(app, 'weights/undo')),
      can && split.moved && button('Use config default (' + Object.values(split.default).map(whole).join(' / ') + ')', () => send(app, 'weights/default'))),
    autoPanel(auto));
}

const fields = (app, split, pools) => h('form.flow', { onsubmit: event => { event.preventDefault(); send(app, 'weights', Object.fromEntries(pools.map(({ slot }) => [slot, +event.target.elements[slot].value]))); } },
  pools.map(({ slot }) => h('label.flow', letter(slot), h('input', { type: 'number', name: slot, min: 0, max: 100, step: .1, value: +split.weights[slot].toFixed(1), 'aria-label': 'Weight of pool ' + slot, disabled: !app.session.signed_in }))), app.session.signed_in && h('button', { type: 'submit' }, 'Set'));

function achieved(split, pools) {
  const five = split.windows.m5, known = five && !five.collecting;
  let at = 0;
  const marks = pools.slice(0, -1).map(({ slot }) => at += split.weights[slot]);
  return h('div.share', { role: 'img', 'aria-label': known ? 'Achieved: ' + pools.map(({ slot }) => slot + ' ' + percent(five.pools[slot].achieved)).join(', ') : 'Achieved: not known yet' },
    known && pools.map(({ slot }) => h('i.pool' + slot, { style: { width: five.pools[slot].achieved + '%' } })),
    marks.map(mark => h('em', { class: mark > 95 ? 'last' : mark < 5 ? 'first' : null, style: { left: mark + '%' } }, h('span', 'target'))));
}

function words(split, pools) {
  const part = window => split.windows[window] && !split.windows[window].collecting && pools.map(({ slot }) => slot + ' ' + percent(split.windows[window].pools[slot].achieved)).join(' / ');
  const five = part('m5'), day = part('h24'), a = split.windows.m5 && split.windows.m5.pools && split.windows.m5.pools.A;
  const settle = split.settle_seconds - (now() - split.since) / 1000;
  if (settle > 0 && split.changed) return 'The new split shows in about ' + span(settle) + '.';
  if (!five) return 'Achieved: collecting shares. Work is split from the first share on.';
  return 'Achieved over 5 min: ' + five + (a && a.low != null ? ' (95 % sure: A within ' + a.low.toFixed(1) + ' to ' + a.high.toFixed(1) + ' %)' : '') + (day ? '. Over 24 h: ' + day : '') + '.';
}

function autoPanel(auto) {
  if (!auto.available) return h('p.soft', h('small', auto.text));
  const fact = (name, value) => value && h('div', h('dt', name), h('dd', value)), chains = auto.chains || [];
  const ill = auto.state === 'failing' || auto.state === 'fallback', both = (pair, show) => chains.some(pair) && chains.map(chain => pair(chain) ? show(chain) : NONE);
  const range = key => both(chain => chain[key], chain => chain[key].map(rate).join(' to '));
  const rows = [['Short', both(chain => chain.short != null, chain => rate(chain.short))], ['19 times of 20', range('short_range')], ['Long', both(chain => chain.long != null, chain => rate(chain.long))], ['19 times of 20', range('long_range')],
    ['Short over long', both(chain => chain.ratio != null, chain => chain.ratio.toFixed(3))],
    ['Other source, short · long', both(chain => chain.other, chain => [rate(chain.other.short) + ' · ' + rate(chain.other.long), chain.disagrees && h('small.warn', '▲ disagrees')])]].filter(([, cells]) => cells).map(([name, cells]) => [name, ...cells]);
  const all = h('dl.facts', fact('Source', auto.source === 'own' ? 'the pools’ jobs' : 'the configured server'), fact('Within', '50 ± ' + auto.bound + ' %'), fact('Next look', auto.next_s != null && 'in ' + span(auto.next_s)), fact('It wants', auto.wanted != null && auto.wanted + ' % for the first chain'), fact('Against a fixed split', auto.gain && (auto.gain.percent < 0 ? '−' : '+') + Math.abs(auto.gain.percent).toFixed(2) + ' % in ' + auto.gain.hours + ' h'), fact('Why these weights', auto.state !== 'warming' && auto.reason));
  const body = [rows.length ? h('div.halves', pairs('Network hash rates', 'Network hash rate', chains.map(chain => chain.name), rows), all) : all, chains.flatMap(chain => chain.doubts.map(text => h('p.warn', '▲ ' + chain.name + ': ' + text)))];
  return auto.active ? [h('p', { class: ill ? 'warn' : null }, ill ? '▲ ' : '', h('b', 'Auto-balance: '), auto.text), body] : h('details', h('summary', 'Auto-balance is off. ' + auto.text), body);
}

const STATES = { unused: ['note', 'Not used'], connecting: ['note', 'Connecting'], ready: ['good', 'Ready'], up: ['good', 'Connected'], partly: ['warn', 'Unsteady'], down: ['bad', 'Down'], refused: ['bad', 'Refused'] };

export function poolCard(pool) {
  const [kind, word] = STATES[pool.state] || ['note', 'Unknown'], fact = (name, value) => value != null && value !== false && h('div', h('dt', name), h('dd', value));
  const all = pool.accepted + pool.rejected, at = now();
  return h('section.card.pool.c6', h('div.row', h('div.flow', letter(pool.slot), h('h2', pool.name, pool.chain && h('span.soft', ' ' + pool.chain))), badge(kind, word + (pool.since ? ' · ' + span((at - pool.since) / 1000) : ''))),
    h('p.soft', h('code', pool.host + ':' + pool.port), pool.tls ? ' 🔒 TLS' : '', pool.wallet ? ' · wallet ' : ' · no wallet', h('code', pool.wallet)),
    pool.reason && h('p.reason', pool.reason, pool.next_try_s != null ? ' · next try in ' + span(pool.next_try_s) : ''),
    pool.message && h('p.soft', 'It says: ' + pool.message),
    pool.state === 'unused' ? h('p.empty', 'Weight 0: this pool is not connected and gets no work.') : h('dl.facts',
      fact('Hash rate, 5 min', pool.hashrate.m5 == null ? NONE : rate(pool.hashrate.m5)),
      fact('Response p50 · p99', times(pool.response_ms)),
      fact('Difficulty', si(pool.difficulty)),
      fact('Last job', ago(pool.last_job, at)),
      fact('Block height', pool.height && count(pool.height)),
      fact('Rejected', all ? count(pool.rejected) + ' (' + percent(pool.rejected / all * 100) + ')' : NONE),
      fact('Commonest reason', pool.top_reject),
      fact('Best share', pool.best && si(pool.best.difficulty)),
      fact('A block is expected in', pool.block_seconds && span(pool.block_seconds)),
      fact('Odds of one a day', pool.block_odds_per_day != null && odds(pool.block_odds_per_day)),
      fact('Coinbase pays you', pool.payout),
      fact('Miners here', count(pool.miners))));
}

const pick = (app) => h('div.switch', { role: 'group', 'aria-label': 'Time shown' }, ['1h', '24h', '30d'].map(name => h('button', { type: 'button', 'aria-pressed': String(range === name), onclick: () => { range = name; app.route(); } }, name.replace(/(\d+)/, '$1 '))));

function charts(app, state) {
  const answer = app.data.series, pools = state.pools;
  if (!answer) return null;
  if (app.drawn?.answer !== answer) app.drawn = { answer, specs: specs(answer, pools) };
  return [h('div.row', h('h2', 'History'), pick(app)), app.drawn.specs.map(chart)];
}

/** What the charts show. A young program's charts begin where its life did. */
function specs({ series, marks }, pools) {
  const { width } = series, size = series.miners.length, first = series.miners.findIndex(n => n != null);
  const from = first < 0 ? 0 : Math.min(Math.max(0, first - 2), size - 30), start = series.start + from * width;
  const of = key => series.pools.map(pool => pool[key].slice(from)), base = { start, width, marks };
  const row = (i, values, more) => ({ name: 'Pool ' + pools[i].slot, tone: 'pool' + pools[i].slot, values, dash: pools[i].slot === 'B', ...more });
  const out = runs(of('up')[0], (_, i) => series.pools.some(({ up, target }) => up[from + i] != null && up[from + i] < .5 && target[from + i] > 0) && series.pools.some(({ up }) => up[from + i] >= .5));
  // Over five minutes; at the left edge over two at least, or its first shares would be a spike.
  const upTo = i => width < 60 ? Math.max(i + 1, 12) : i + 1;
  const work = of('hashrate'), split = work[0].map((value, i) => { const from = Math.max(0, i - (width < 60 ? 29 : 0)), mine = work.map(row => row.slice(from, upTo(i)).reduce((sum, v) => sum + (v || 0), 0)), sum = mine.reduce((x, y) => x + y, 0); return value == null || !sum ? null : mine[0] / sum * 100; });
  const smooth = rows => width < 60 ? rows.map(values => values.map((value, i) => { const near = values.slice(Math.max(0, i - 29), upTo(i)).filter(v => v != null); return value == null ? null : near.reduce((x, y) => x + y, 0) / near.length; })) : rows;
  const sum = key => of(key).reduce((all, values) => all.map((value, i) => value == null ? values[i] : value + (values[i] || 0)));
  const networks = of('network').map((values, i) => [values, i]).filter(([values]) => values.some(value => value != null));
  return [
    { ...base, title: 'Hash rate by pool', class: 'c8', rows: smooth(work).map((values, i) => row(i, values, { dash: false })), show: rate, shade: out, height: 240 },
    { ...base, title: 'Split: achieved against target', class: 'c4', kind: 'line', max: 100, show: value => Math.round(value) + ' %', height: 240, rows: [{ name: 'Achieved (A)', tone: 'poolA', values: split }, { name: 'Target (A)', tone: 'strong', dash: true, values: of('target')[0].map(value => value == null ? null : value * 100) }] },
    { ...base, title: 'Shares', class: 'c6', kind: 'bars', whole: true, show: count, rows: [{ name: 'Accepted', tone: 'good', values: sum('accepted') }, { name: 'Rejected', tone: 'bad', dash: true, values: sum('rejected') }] },
    { ...base, title: 'Pool response time', class: 'c6', kind: 'line', show: ms, rows: of('response').map((values, i) => row(i, values)) },
    ...networks.map(([values, i]) => {
      const long = of('network_long')[i], measured = long.some(value => value != null);
      return { ...base, title: (pools[i].chain || 'Pool ' + pools[i].slot) + ' network hash rate', class: networks.length > 1 ? 'c6' : '', kind: 'line', show: rate, rows: measured ? [row(i, values, { name: '6 blocks', dash: false }), row(i, long, { name: '72 blocks', tone: 'strong', dash: true })] : [row(i, values, { name: 'as its difficulty says' })] };
    })];
}

const SIGN = { down: '✖', up: '●', block: '★', best: '★', weights: '⇄', config: '✎', miner: '▲', start: '▶' };

/** What happened again and again, told once: to each miner a pool says the same. */
const told = events => events.reduce((all, event) => {
  const last = all[all.length - 1];
  if (last && last.text === event.text) { last.at = event.at; last.times++; } else all.push({ ...event, times: 1 });
  return all;
}, []).reverse().slice(0, 60);

const eventRow = event => h('li', h('time', { title: moment(event.at) }, now() - event.at < 7e7 ? clock(event.at) : moment(event.at)), h('span', { class: event.weight }, (SIGN[event.kind] || '·') + ' '), h('span', event.text, event.times > 1 && h('span.soft', ' (' + event.times + ' times)')));

export const eventList = app => app.data.events && h('section.card', h('h2', 'What happened'), app.data.events.events.length ? h('ul.events', { tabindex: 0, 'aria-label': 'Events, newest first' }, told(app.data.events.events).map(eventRow)) : h('p.empty', 'Nothing yet.'));

export function view(app) {
  const { state, workers } = app.data;
  if (!state) return h('p.empty', 'Asking dpmp…');
  return [banners(app, state), well(state), setup(app, state), kpis(state, workers), allocation(app, state), state.pools.map(poolCard), charts(app, state), measured(state),
    h('section.card', h('div.row', h('h2', 'Miners'), h('a', { href: '#stats' }, 'All about them')), workers ? table(app, workers.workers, 8) : h('p.empty', 'Collecting…')), eventList(app)];
}
