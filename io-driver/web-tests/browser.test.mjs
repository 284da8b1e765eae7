// The dashboard in a real browser. Needs chromium; says so and passes where there is none.

import test, { before, after } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { chromium as playwright } from 'playwright-core';
import { demo, miner, site, until, PASSWORD } from './stage.mjs';
import { executablePath, skip, launch, openIn, seen, signIn, go, sound, close } from './page.mjs';

const PAGES = ['home', 'stats', 'config', 'logs', 'about'];
let browser;

before(async () => { browser = await launch(); });
after(() => browser?.close());

const open = (base, options) => openIn(browser, base, options);

test('every page, on desktop and phone, in light and dark, without an AA violation', { skip }, async () => {
  const stage = await demo('--calm');
  try {
    await until('shares', async () => (await (await fetch(stage.base + '/api/v1/state')).json()).hashrate.m5);
    for (const [width, height] of [[1280, 900], [390, 844], [320, 700]]) for (const colorScheme of ['light', 'dark']) {
      const page = await open(stage.base, { viewport: { width, height }, colorScheme, hasTouch: width < 500 });
      await signIn(page);
      for (const name of PAGES) {
        await go(page, name);
        if (name === 'home') await page.waitForSelector('.plot svg');
        if (name === 'stats') await page.waitForSelector('text=garage-s19');
        if (name === 'logs') await page.waitForSelector('.log details');
        if (name === 'about') await page.waitForSelector('.qr');
        const where = `${name} ${width} ${colorScheme}`;
        await sound(page, where);
        const cut = await page.$$eval('.scroll:has(.cards)', all => innerWidth < 500 ? all.filter(el => el.scrollWidth > el.clientWidth).length : 0);
        assert.equal(cut, 0, `${where}: cards are cut off`);
        if (width === 390) {
          const small = await page.$$eval('button, nav a, select, .button', all => all.filter(el => el.offsetParent && el.getBoundingClientRect().height < 40 && !el.closest('th, td, summary, .switch')).map(el => el.outerHTML.slice(0, 90)));
          assert.deepEqual(small, [], where + ': targets');
        }
      }
      await close(page);
    }
  } finally { await stage.stop(); }
});

test('all of it weighs 60 KB or less, and the title tells the hash rate', { skip }, async () => {
  const stage = await demo('--calm');
  try {
    const page = await open(stage.base);
    await signIn(page);
    for (const name of PAGES) await go(page, name);
    await seen(page, () => /H\/s · dpmp/.test(document.title));
    const weight = [...page.weight.values()].reduce((sum, size) => sum + size, 0);
    assert.ok(page.weight.size >= 12 && weight <= 60000, `${page.weight.size} files, ${weight} bytes`);
    await close(page);
  } finally { await stage.stop(); }
});

test('the slider by keyboard, and the undo from another browser', { skip }, async () => {
  const stage = await site();
  try {
    const [one, other] = [await open(stage.base), await open(stage.base)];
    const weights = async () => (await (await fetch(stage.base + '/api/v1/state')).json()).split.weights;
    assert.ok(await one.isDisabled('input[type=range]'), 'a stranger cannot move it');
    await signIn(one);
    await one.focus('input[type=range]');
    for (let n = 0; n < 20; n++) await one.keyboard.press('ArrowRight');
    assert.equal(await one.getAttribute('input[type=range]', 'aria-valuetext'), 'Pool A 70 %, pool B 30 %');
    await until('the weights', async () => (await weights()).A === 70);
    await one.waitForSelector('.toast >> text=Undo');
    await signIn(other);
    await other.click('text=Undo (back to 50 / 50)');
    await until('the undo', async () => (await weights()).A === 50);
    await seen(one, () => document.querySelector('input[type=range]').value === '50');
    await one.fill('input[aria-label="Exact share of pool A in percent"]', '62.5');
    await one.keyboard.press('Enter');
    await until('the exact weights', async () => (await weights()).A === 62.5);
    await one.fill('input[aria-label="Exact share of pool A in percent"]', '625');
    await one.keyboard.press('Enter');
    await one.waitForTimeout(600);
    assert.equal((await weights()).A, 62.5, 'a slip of the finger sends nothing');
    await one.click('text=Use config default');
    await until('the default', async () => (await weights()).A === 50);
    await one.focus('input[type=range]');
    await one.keyboard.press('End');
    await one.waitForSelector('text=takes nothing over');
    await close(one);
    await close(other);
  } finally { await stage.stop(); }
});

test('a wrong password is said, and wrong hosts and origins are refused', { skip }, async () => {
  const stage = await site();
  try {
    const page = await open(stage.base);
    await page.click('#tools >> text=Sign in');
    await page.fill('dialog input[name=password]', 'wrong');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog >> text=that is not the password');
    await page.keyboard.press('Escape');
    for (const name of ['config', 'logs', 'about']) {
      await go(page, name);
      await page.waitForSelector('text=Sign in to see this');
      // The state that comes meanwhile does not take it away.
      await page.waitForTimeout(2500);
      assert.ok(await page.isVisible('text=Sign in to see this'), name);
    }
    await close(page);
    // A name of the internet that was made to point here, as in DNS rebinding.
    const rebound = await playwright.launch({ executablePath, args: ['--no-sandbox', '--host-resolver-rules=MAP evil.example 127.0.0.1'] });
    const evil = await rebound.newPage();
    const port = new URL(stage.base).port;
    assert.equal((await evil.goto('http://evil.example:' + port + '/api/v1/state')).status(), 421);
    // A page of another origin, with the owner's cookie jar.
    const other = await site();
    const foreign = await rebound.newPage();
    await foreign.goto(other.base + '/');
    const sent = await foreign.evaluate(async base => {
      const answer = await fetch(base + '/api/v1/weights', { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{"A":1,"B":99}' });
      return answer.type;
    }, stage.base).catch(error => String(error));
    assert.match(sent, /opaque|Failed to fetch|Content Security Policy/);
    assert.deepEqual((await (await fetch(stage.base + '/api/v1/state')).json()).split.weights, { A: 50, B: 50 });
    await rebound.close();
    await other.stop();
  } finally { await stage.stop(); }
});

test('a config is reviewed, applied, and taken back', { skip }, async () => {
  const stage = await site();
  try {
    const before = stage.text();
    const page = await open(stage.base);
    await signIn(page);
    await go(page, 'config');
    await page.fill('input[name="pools.B.name"]', 'Cash two');
    await page.fill('input[name="pools.B.wallet"]', 'bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a');
    await page.keyboard.press('Tab');
    await page.waitForSelector('text=Not applied yet');
    await page.click('text=Test pool >> nth=1');
    await page.waitForSelector('text=First job');
    await page.click('text=Review and apply');
    await page.waitForSelector('dialog >> text=pools.B.wallet');
    await page.waitForSelector('dialog >> text=a valid BCH address');
    await page.waitForSelector('dialog >> text=miners stay connected');
    // What stands there then is seen on a phone too.
    await page.setViewportSize({ width: 390, height: 844 });
    await sound(page, 'the review on a phone');
    assert.deepEqual(await page.$$eval('dialog .scroll', all => all.map(el => el.scrollWidth - el.clientWidth)), [0]);
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.click('dialog >> text=Apply');
    await page.fill('dialog input[name=password]', PASSWORD);
    await page.click('dialog >> text=Apply');
    await page.waitForSelector('text=The config is in force.');
    assert.match(stage.text(), /Cash two/);
    await go(page, 'home');
    await page.waitForSelector('text=Pools or wallets were changed');
    await page.click('.banner >> text=Undo');
    await page.waitForSelector('dialog >> text=Back to version 1');
    await page.keyboard.press('Escape');
    await go(page, 'config');
    await page.click('text=Go back to it');
    await page.waitForSelector('dialog >> text=Back to version 1');
    await page.fill('dialog input[name=password]', PASSWORD);
    await page.click('dialog >> text=Apply');
    await page.waitForSelector('text=Version 1 is in force again.');
    assert.deepEqual(JSON.parse(stage.text()), JSON.parse(before));
    // What cannot be had changes nothing and says so.
    await page.click('text=Raw JSON');
    const text = await page.inputValue('textarea');
    await page.fill('textarea', text.replace(/"port": \d+/, '"port": "x"'));
    await page.click('text=Review and apply');
    await page.waitForSelector('dialog >> text=where a number must stand');
    assert.equal(await page.locator('dialog >> text=Apply').count(), 0);
    assert.deepEqual(JSON.parse(stage.text()), JSON.parse(before));
    await close(page);
  } finally { await stage.stop(); }
});

test('what a miner calls itself is text and nothing else; a block stays until it is dismissed', { skip }, async () => {
  const stage = await site({ nbits: '207fffff' });
  const name = '<img src=x onerror=alert(1)>';
  try {
    const hostile = await miner(stage.port, 'x.' + name, '<script>alert(2)</script>');
    const page = await open(stage.base);
    for (let n = 0; n < 8; n++) hostile.submit();
    await page.waitForSelector('.banner.good >> text=Block candidate');
    assert.ok((await page.textContent('.banner.good')).includes(name));
    await page.setViewportSize({ width: 320, height: 700 });
    await sound(page, 'a block on a phone');
    await page.setViewportSize({ width: 1280, height: 900 });
    await go(page, 'stats');
    await page.waitForSelector('text=' + name);
    await page.click('td.name button');
    await page.waitForSelector('dialog >> text=Changes of pool');
    await sound(page, 'the drawer');
    assert.equal(await page.locator('main img, dialog img, main script').count(), 0);
    await page.keyboard.press('Escape');
    await go(page, 'home');
    const shown = await page.locator('.banner.good').count();
    await page.reload();
    await page.waitForSelector('.banner.good');
    for (let n = 0; n < shown + 20 && await page.locator('.banner.good').count(); n++) await page.click('.banner.good >> text=Dismiss');
    await page.reload();
    await page.waitForSelector('.kpi');
    assert.equal(await page.locator('.banner.good').count(), 0, 'dismissed for good');
    await signIn(page);
    await go(page, 'logs');
    await page.waitForSelector('.log >> text=block_candidate');
    await page.waitForSelector('a:has-text("Log (about")');
    await page.getByLabel('Event', { exact: true }).fill('nonsense');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.log >> text=No line matches');
    hostile.stop();
    await close(page);
  } finally { await stage.stop(); }
});

test('500 workers', { skip }, async () => {
  const stage = await site();
  const crowd = [];
  try {
    for (let n = 0; n < 500; n += 25) crowd.push(...await Promise.all(Array.from({ length: 25 }, (_, k) => miner(stage.port, 'farm.rig' + String(n + k).padStart(3, '0')))));
    const page = await open(stage.base);
    await go(page, 'stats');
    await page.waitForSelector('text=500 of 500 miners');
    const slow = await page.evaluate(async () => { const began = performance.now(); dispatchEvent(new Event('resize')); await new Promise(resolve => setTimeout(resolve, 150)); return performance.now() - began; });
    assert.ok(slow < 5000, `${slow} ms`);
    await page.fill('input[type=search]', 'rig49');
    await page.waitForSelector('text=10 of 10 miners');
    const download = page.waitForEvent('download');
    await page.click('text=CSV');
    const csv = readFileSync(await (await download).path(), 'utf8');
    assert.equal(csv.trim().split('\r\n').length, 11);
    await close(page);
  } finally { crowd.forEach(miner => miner.stop()); await stage.stop(); }
});

test('lost contact greys the page, says that miners may be well, and heals', { skip }, async () => {
  const stage = await site();
  try {
    const page = await open(stage.base);
    await page.context().setOffline(true);
    await page.waitForSelector('text=Lost contact with dpmp', { timeout: 20000 });
    assert.ok(await page.evaluate(() => document.body.classList.contains('lost')));
    assert.match(await page.title(), /Lost contact/);
    await page.context().setOffline(false);
    await seen(page, () => !document.body.classList.contains('lost'));
    await close(page);
  } finally { await stage.stop(); }
});

test('a fresh install leads through its three steps', { skip }, async () => {
  const stage = await site({ config: { scheduler: { poolA_weight: 100, poolB_weight: 0 } } });
  try {
    const page = await open(stage.base);
    await page.waitForSelector('text=Point your miners here');
    await page.waitForSelector('text=this pool is not connected and gets no work');
    await page.waitForSelector('.plot >> text=Collecting');
    await sound(page, 'a fresh install');
    const first = await miner(stage.port, 'x.first');
    await seen(page, () => !document.querySelector('.steps'));
    first.stop();
    await close(page);
  } finally { await stage.stop(); }
});
