// The numbers on the pages are those of the API. Needs chromium, as the tests of browser.test.mjs.

import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { demo, site, until } from './stage.mjs';
import { skip, launch, openIn, go, sound, close } from './page.mjs';
import { count, ms, odds, percent, points, si } from '../web/format.js';

const WINDOWS = ['m5', 'h1', 'h24'];
let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());

const ask = async (base, path) => (await fetch(base + '/api/v1/' + path)).json();
const plain = text => text.replace(/[\u202f\s]+/g, ' ').trim();

/** What stands in the lines of a table to compare by: {name: [cells]}. */
const lines = (page, label) => page.$$eval(`[aria-label="${label}"] tbody tr`, rows => rows.map(row => [...row.children].map(cell => cell.textContent)))
  .then(rows => Object.fromEntries(rows.map(([name, ...cells]) => [name, cells.map(plain)])));

/** What stands in lists of facts: {name: value}. */
const facts = (page, where) => page.$$eval(where + ' .facts > div', all => all.map(el => [el.querySelector('dt').textContent, el.querySelector('dd').textContent]))
  .then(all => Object.fromEntries(all.map(([name, value]) => [name, plain(value)])));

const kpi = async (page, name) => plain(await page.textContent(`.kpi:has-text("${name}")`));

/** The demo's state, once all that the page shows is measured. */
const measured = base => until('the measured split and switches', async () => {
  const state = await ask(base, 'state'), { split, switching, times_ms } = state;
  return !split.windows.m5.collecting && split.windows.m5.pools.A.low != null && switching.m5.per_hour && times_ms.job_fanout.p50 && state.pools.every(pool => pool.response_ms.p99 && pool.block_odds_per_day) && state;
}, 150000);

test('split, switching, faults, times, luck and odds are shown as they are measured', { skip }, async () => {
  const stage = await demo('--calm');
  try {
    const workers = await until('the workers’ rates', async () => { const all = await ask(stage.base, 'workers'); return all.workers.length === 6 && all.workers.every(worker => worker.shares_per_minute.m5) && all; }, 150000);
    const [state, records] = [await measured(stage.base), await ask(stage.base, 'records')];
    const page = await openIn(browser, stage.base, { answers: { state, workers, records, pools: { pools: state.pools } } });
    await page.waitForSelector('.measured');
    const { split, switching, shares, times_ms, luck } = state;

    // The measured numbers themselves: possible, and of a demo that divides 60 to 40.
    const five = split.windows.m5.pools.A;
    assert.equal(five.target, 60);
    assert.ok(Math.abs(five.achieved - five.target - five.error) < 1e-6 && five.low < five.achieved && five.achieved < five.high, JSON.stringify(five));
    assert.ok(switching.m5.switches > 0 && switching.m5.lost_ratio >= 0 && switching.m5.lost_ratio < .5, JSON.stringify(switching.m5));
    assert.ok(times_ms.share.p50 > 0 && times_ms.share.p50 <= times_ms.share.p99, JSON.stringify(times_ms));
    assert.equal(shares.faults.proxy, 0);

    const shown = await lines(page, 'Split and switching by time');
    WINDOWS.forEach((key, i) => {
      const window = split.windows[key], pool = window.pools.A, move = switching[key];
      const expect = (name, text) => assert.equal(shown[name][i], plain(text), `${name}, ${key}`);
      expect('Target for pool A', percent(pool.target));
      expect('Achieved by pool A', window.collecting ? 'not yet known' : percent(pool.achieved));
      const inside = pool.low <= pool.target && pool.target <= pool.high;
      expect('Off by, pool A', window.collecting ? 'not yet known' : points(pool.error) + (inside ? ' ● within chance' : ' ▲ beyond chance'));
      expect('Truly within, pool A', window.collecting ? 'not yet known' : pool.low.toFixed(1) + ' to ' + percent(pool.high));
      expect('Changes of pool an hour', move.per_hour == null ? 'not yet known' : count(move.per_hour));
      const lost = move.lost_shares ? ` ${count(move.lost_shares)} share${move.lost_shares === 1 ? '' : 's'}, work ${si(move.lost_work)}` : '';
      expect('Work lost to them', percent(move.lost_ratio * 100) + lost);
    });

    const told = await facts(page, '.measured'), expect = (name, text) => assert.equal(told[name], plain(text), name);
    for (const who of ['Miner', 'Pool', 'Nobody']) expect(who + '’s fault', count(shares.faults[who.toLowerCase()]));
    expect('Proxy’s fault', '● 0, as it must be');
    expect('A share', ms(times_ms.share.p50) + ' · ' + ms(times_ms.share.p99));
    expect('A job', ms(times_ms.job_fanout.p50) + ' · ' + ms(times_ms.job_fanout.p99));
    expect('By shares', percent(luck.shares * 100));
    expect('By best share', percent(luck.best_share * 100));
    const window = switching.h1.lost_ratio == null ? 'm5' : 'h1';
    assert.equal(await kpi(page, 'Lost by switching'), plain(`Lost by switching, ${window === 'm5' ? '5 min' : '1 h'}${percent(switching[window].lost_ratio * 100)}by the proxy’s fault 0 shares`));
    for (const pool of state.pools) {
      const card = await facts(page, `.pool:has(h2 + .pool${pool.slot}, .pool${pool.slot} + h2)`);
      assert.equal(card['Odds of one a day'], plain(odds(pool.block_odds_per_day)));
      assert.equal(card['Response p50 · p99'], plain(ms(pool.response_ms.p50) + ' · ' + ms(pool.response_ms.p99)));
    }
    const healthy = { ...structuredClone(state), banners: [], miners: { known: 6, active: 6, low: 0, silent: 0, offline: 0 } };
    healthy.shares = { ...shares, submitted: 1000, dropped: 0, accepted: 999, rejected: 1 };
    for (const pool of healthy.pools) pool.state = 'up';
    const line = async change => {
      const answer = structuredClone(healthy);
      change(answer);
      const page = await openIn(browser, stage.base, { answers: { state: answer } });
      const found = await page.locator('main >> text=All is well').count() ? plain(await page.textContent('main > p.good')) : null;
      await close(page);
      return found;
    };
    assert.equal(await line(() => 0), '● All is well. All 6 miners work, pool A and pool B are connected, 99.9 % of the shares that were sent there were accepted.');
    for (const change of [s => { s.miners.active = 5; s.miners.silent = 1; }, s => { s.pools[1].state = 'down'; }, s => { s.shares.faults.proxy = 1; }, s => { s.shares.rejected = 100; }, s => { s.shares.dropped = 21; }, s => { s.banners = [{ id: 'x', weight: 'warn', title: 'x', text: 'y' }]; }, s => { s.shares.accepted = s.shares.rejected = 0; }]) {
      assert.equal(await line(change), null, String(change));
    }
    await page.click('text=What these numbers mean');
    await sound(page, 'what is measured');

    await go(page, 'stats');
    await page.waitForSelector('td[data-label="A minute"]');
    const rows = Object.fromEntries(await page.$$eval('table.cards tbody tr', all => all.map(row => [row.querySelector('.name button').textContent, row.querySelector('[data-label="A minute"]').textContent])));
    assert.equal(Object.keys(rows).length, 6);
    for (const worker of workers.workers) assert.equal(plain(rows[worker.name]), plain(si(worker.shares_per_minute.m5)), worker.name);
    assert.ok(workers.workers.some(worker => worker.shares_per_minute.m5 > 10));
    const pools = await lines(page, 'Pools');
    state.pools.forEach((pool, i) => {
      assert.equal(pools['Odds of one a day'][i], plain(odds(pool.block_odds_per_day)));
      assert.equal(pools['Round trip, p50 · p99'][i], plain(ms(pool.response_ms.p50) + ' · ' + ms(pool.response_ms.p99)));
      assert.equal(pools.Accepted[i], plain(count(pool.accepted)));
    });
    const { per_hour, lost_ratio } = records.switching;
    const cost = plain(await page.textContent('section:has(> h2:text-is("Records"))'));
    assert.ok(cost.includes(plain(per_hour == null ? 'How many: not yet known' : count(per_hour) + ' an hour')) && cost.includes('work lost to them: ' + plain(percent(lost_ratio * 100))), cost);
    await close(page);

    // Nothing is known: it says so, and never 0, NaN or null.
    const unknown = structuredClone(state), none = { p50: null, p95: null, p99: null };
    for (const key of WINDOWS) {
      unknown.split.windows[key] = { collecting: true, pools: {} };
      Object.assign(unknown.switching[key], { per_hour: null, lost_ratio: null, lost_shares: 0 });
      unknown.hashrate[key] = null;
    }
    Object.assign(unknown, { luck: { shares: null, best_share: null }, times_ms: { share: none, job_fanout: none }, best: { session: null, ever: null }, facts_lost: 7 });
    unknown.shares.faults.proxy = 3;
    for (const pool of unknown.pools) Object.assign(pool, { response_ms: none, block_seconds: null, block_odds_per_day: null, hashrate: { m5: null, h1: null, h24: null }, best: null });
    for (const worker of workers.workers) Object.assign(worker, { shares_per_minute: { m5: null, h1: null, h24: null }, hashrate: { m5: null, h1: null, h24: null }, best: null, last_share: null, expected_share_s: null });
    const blank = await openIn(browser, stage.base, { answers: { state: unknown, workers, pools: { pools: unknown.pools } } });
    await blank.waitForSelector('.measured >> text=not yet known');
    const fresh = await facts(blank, '.measured');
    assert.equal(fresh['Proxy’s fault'], '✖ 3, a bug: please report');
    for (const name of ['A share', 'A job', 'By shares', 'By best share']) assert.equal(fresh[name], 'not yet known', name);
    const table = await lines(blank, 'Split and switching by time');
    assert.deepEqual(table['Work lost to them'], Array(3).fill('not yet known'));
    assert.match(await kpi(blank, 'Lost by switching'), /5 min ?not yet known ?by the proxy’s fault ✖ 3/);
    assert.match(await blank.textContent('.measured'), /too slow to count 7 facts/);
    await sound(blank, 'nothing known');
    for (const name of ['home', 'stats']) {
      await go(blank, name);
      await blank.waitForSelector('text=shelf-nerdminer');
      assert.doesNotMatch(await blank.innerText('main'), /NaN|null|undefined|Infinity/, name);
    }
    await close(blank);
  } finally { await stage.stop(); }
});

test('long numbers fit: no table of Stats is cut at 1280 px', { skip }, async () => {
  const stage = await demo('--calm');
  try {
    const workers = await until('six workers', async () => { const all = await ask(stage.base, 'workers'); return all.workers.length === 6 && all; });
    const long = { m5: 184.6e12, h1: 184.6e12, h24: 184.6e12 };
    workers.workers.forEach((worker, i) => Object.assign(worker, { name: 'a-worker-with-a-long-name-' + i, state: 'offline', hashrate: long, shares_per_minute: { m5: 12.3, h1: 12.3, h24: 12.3 }, accepted: 1234567, rejected: 4400, best: { difficulty: 662460e3 }, last_share: Date.now() - 45 * 60000, spark: [1, 2, 3] }));
    const page = await openIn(browser, stage.base, { answers: { workers } });
    await go(page, 'stats');
    await page.waitForSelector('text=a-worker-with-a-long-name-5');
    const cut = await page.$$eval('.scroll', all => all.filter(el => el.scrollWidth > el.clientWidth).map(el => `${el.getAttribute('aria-label')}: ${el.scrollWidth} of ${el.clientWidth}`));
    assert.deepEqual(cut, []);
    const edge = await page.$eval('td[data-label="Last share"]', el => el.getBoundingClientRect().right);
    assert.ok(edge <= 1280, `the last column ends at ${edge}`);
    await close(page);
  } finally { await stage.stop(); }
});

test('best shares of v2 are kept apart, and a name that is a wallet is cut', { skip }, async () => {
  const wallet = 'bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq', hostile = '<img src=x onerror=alert(1)>';
  const stage = await site({ files: { 'best_shares.json': JSON.stringify({ bitaxe: 1234567.5, [wallet]: 65536, [hostile]: 4096 }) } });
  try {
    const page = await openIn(browser, stage.base);
    await go(page, 'stats');
    await page.waitForSelector('text=Imported from v2, kept apart');
    const list = (await page.$$eval('[aria-label="Imported from v2, kept apart"] li', all => all.map(el => el.textContent))).map(plain);
    assert.equal(list.length, 3);
    assert.equal(list[0], '1.23 Mbitaxe');
    assert.ok(!list[1].includes(wallet) && /^65\.5 k/.test(list[1]), list[1]);
    assert.equal(list[2], '4.10 k' + hostile);
    assert.equal(await page.locator('main img').count(), 0);
    assert.match(await page.textContent('section:has(> h2:text-is("Records"))'), /not to be compared/);
    assert.equal(await page.locator('[aria-label="Best shares of all time"]').count(), 0, 'they are no records of this version');
    await sound(page, 'imported shares');
    await close(page);
  } finally { await stage.stop(); }
});

test('auto-balance in each of its states', { skip }, async () => {
  const stage = await site();
  try {
    const state = await ask(stage.base, 'state');
    const chain = (name, more) => ({ name, short: 7.4e18, long: 6.9e18, ratio: 1.072, short_range: [5.1e18, 1.02e19], long_range: [6.1e18, 7.8e18], other: null, height: 912345, blocks: 72, disagrees: false, doubts: [], ...more });
    const auto = { available: true, active: true, source: 'own', state: 'ready', text: 'Ready', bound: 20, wanted: 56.2, moved: null, next_s: 214, age_s: 30, gain: { percent: -1.23, hours: 48 }, reason: 'BTC wants 56.2 %', chains: [chain('BTC'), chain('BCH')] };
    const shown = async (more, look) => {
      const answer = structuredClone(state);
      Object.assign(answer.mode.auto_balance, auto, more);
      const page = await openIn(browser, stage.base, { answers: { state: answer }, viewport: { width: 390, height: 844 } });
      await look(page);
      await sound(page, 'auto-balance: ' + JSON.stringify(more).slice(0, 60));
      await close(page);
    };
    await shown({}, async page => {
      const table = await lines(page, 'Network hash rates');
      assert.deepEqual([table.Short, table['Short over long']], [['7.40 EH/s', '7.40 EH/s'], ['1.072', '1.072']]);
      assert.equal((await facts(page, '.card:has(input[type=range])'))['Against a fixed split'], '−1.23 % in 48 h');
    });
    await shown({ state: 'warming', text: 'Warming up, 3 of 72 blocks', wanted: null, gain: null, next_s: null, reason: '', chains: ['BTC', 'BCH'].map(name => chain(name, { short: null, long: null, ratio: null, short_range: null, long_range: null })) }, async page => {
      await page.waitForSelector('text=Warming up, 3 of 72 blocks');
      assert.equal(await page.locator('[aria-label="Network hash rates"]').count(), 0, 'no empty table');
    });
    await shown({ state: 'failing', source: 'url', text: 'The last 4 tries failed', chains: [chain('BTC', { other: { short: 7e18, long: 6e18 }, disagrees: true }), chain('BCH', { doubts: ['pool B: its clock is off by 320 s'] })] }, async page => {
      await page.waitForSelector('p.warn >> text=The last 4 tries failed');
      await page.waitForSelector('text=▲ disagrees');
      await page.waitForSelector('p.warn >> text=pool B: its clock is off by 320 s');
    });
    await shown({ active: false }, async page => { await page.click('text=Auto-balance is off'); await page.waitForSelector('[aria-label="Network hash rates"] >> visible=true'); });
  } finally { await stage.stop(); }
});
