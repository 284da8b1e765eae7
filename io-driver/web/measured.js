// What the proxy measures of itself: how exact the split is, what changes of pool cost, whose doing it is when a share
// does not count, its own times, luck.

import { h, pairs } from './dom.js';
import { percent, points, count, si, ms } from './format.js';

const WINDOWS = [['m5', '5 min'], ['h1', '1 h'], ['h24', '24 h']];
const known = (value, show) => value == null ? h('span.soft', 'not yet known') : show(value);
const ratio = value => known(value, value => percent(value * 100));
export const times = ({ p50, p99 }) => known(p50, () => ms(p50) + ' · ' + ms(p99));

/** What is lost, beside its part: 3 shares, work 12.3 k. */
export const lost = ({ lost_shares: n, lost_work }) => count(n) + (n === 1 ? ' share' : ' shares') + ', work ' + si(lost_work);

/** The proxy's own fault: 0, and said so. */
const own = n => n ? h('span.bad', '✖ ' + count(n) + ', a bug: please report') : [h('span.good', '● '), '0, as it must be'];

/** The key figure: what having two pools costs. */
export function cost({ switching, shares }) {
  const [key, name] = switching.h1.lost_ratio == null ? WINDOWS[0] : WINDOWS[1], { proxy } = shares.faults;
  return ['Lost by switching, ' + name, ratio(switching[key].lost_ratio), 'by the proxy’s fault ', proxy ? h('span.bad', '✖ ' + count(proxy)) : '0 shares'];
}

/** A time a column, so that it fits a phone. */
function windows({ split, switching, pools }) {
  // Of two pools the second is the rest.
  const slots = pools.slice(0, pools.length > 2 ? pools.length : 1).map(pool => pool.slot);
  const of = (key, slot) => { const { collecting, pools } = split.windows[key], pool = (pools || {})[slot] || {}; return { ...pool, collecting, sure: !collecting && pool.low != null }; };
  const line = (name, show) => [name, ...WINDOWS.map(([key]) => show(key))];
  const each = (name, show) => slots.map(slot => line(name + ' ' + slot, key => show(of(key, slot))));
  return pairs('Split and switching by time', 'Over the last', WINDOWS.map(([, name]) => name), [
    ...each('Target for pool', pool => known(pool.target, percent)),
    ...each('Achieved by pool', pool => known(pool.collecting ? null : pool.achieved, percent)),
    ...each('Off by, pool', ({ collecting, error, sure, low, high, target }) => [known(collecting ? null : error, points), sure && (low <= target && target <= high ? h('small.good', ' ● within chance') : h('small.warn', ' ▲ beyond chance'))]),
    ...each('Truly within, pool', ({ sure, low, high }) => known(sure ? low : null, low => low.toFixed(1) + ' to ' + percent(high))),
    line('Changes of pool an hour', key => known(switching[key].per_hour, count)),
    line('Work lost to them', key => [ratio(switching[key].lost_ratio), switching[key].lost_shares > 0 && h('small', ' ' + lost(switching[key]))])]);
}

/** Groups of name, value, meaning. */
const facts = ({ shares: { faults }, times_ms, luck }) => [
  ['Shares that did not count', [
    ['Miner’s fault', count(faults.miner), 'They came too late, twice, or were no valid work.'],
    ['Pool’s fault', count(faults.pool), 'Good shares, checked here, that the pool refused or never answered.'],
    ['Nobody’s fault', count(faults.nobody), 'A new job met the share on its way.'],
    ['Proxy’s fault', own(faults.proxy), 'Shares that the proxy itself spoilt. Anything but 0 is a bug.'],
  ]],
  ['The proxy’s own time, p50 · p99', [
    ['A share', times(times_ms.share), 'From a miner’s share to the pool, in the last hour. The pool’s round trip stands in its card.'],
    ['A job', times(times_ms.job_fanout), 'From a pool’s job until the last miner has been sent it.'],
  ]],
  ['Luck since the start', [
    ['By shares', ratio(luck.shares), 'What pools accepted over the work done; 100 % is neither luck nor bad luck.'],
    ['By best share', ratio(luck.best_share), 'So many of 100 sessions with as much work have a lesser best share; 50 % is usual.'],
  ]],
];

const EXTRA = [
  ['Truly within', 'Shares come by chance. The true part of the work is in here 19 times of 20.'],
  ['Beyond chance', 'The target is not in it: a pool was out, or its refusals are being made up for.'],
  ['Work lost', 'By shares late or refused within 5 s of a change of pool, as part of all work. What a miner’s own restart of work costs is not seen here.'],
];

export function measured(state) {
  const groups = facts(state), meant = groups.flatMap(([group, all]) => all.map(([name, , meaning]) => [group + ', ' + name[0].toLowerCase() + name.slice(1), meaning]));
  return h('section.card.measured', h('h2', 'How exact it is, and what it costs'), h('div.halves', windows(state), h('div.form', groups.map(([group, all]) => h('div', h('h3', group), h('dl.facts', all.map(([name, value, meaning]) => h('div', { title: meaning }, h('dt', name), h('dd', value)))))))),
    state.facts_lost > 0 && h('p.warn', '▲ This machine was too slow to count ' + count(state.facts_lost) + ' facts: all numbers are a little too low.'),
    h('details', h('summary', 'What these numbers mean'), h('ul', [...EXTRA, ...meant].map(([name, text]) => h('li', h('b', name + ': '), text)))));
}
