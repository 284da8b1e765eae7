// What the browser tests do with a page: open it, sign in, go about, and see that it is sound.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { chromium as playwright } from 'playwright-core';
import { chromium, until, PASSWORD } from './stage.mjs';

export const executablePath = chromium();
export const skip = executablePath ? false : 'there is no chromium on this machine: the dashboard was not looked at';
if (skip) console.log(skip);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const launch = async () => executablePath ? playwright.launch({ executablePath, args: ['--no-sandbox'] }) : null;

/** A page whose errors and foreign requests are faults. `answers`: what the API says instead, by path. */
export async function openIn(browser, base, { answers = {}, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  for (const [path, json] of Object.entries(answers)) await context.route('**/api/v1/' + path, route => route.fulfill({ json }));
  const page = await context.newPage();
  page.faults = [];
  page.weight = new Map();
  page.on('pageerror', error => page.faults.push(String(error)));
  page.on('console', message => message.type() === 'error' && !/status of (4\d\d|503)|ERR_CONNECTION|ERR_INTERNET/.test(message.text()) && page.faults.push(message.text()));
  page.on('request', request => request.url().startsWith(base) || request.url().startsWith('blob:') || page.faults.push('a request to ' + request.url()));
  page.on('dialog', dialog => { page.faults.push('a dialog: ' + dialog.message()); dialog.dismiss(); });
  page.on('response', async response => {
    const sizes = await response.request().sizes().catch(() => null);
    if (sizes && !response.url().includes('/api/')) page.weight.set(response.url(), sizes.responseBodySize);
  });
  await page.goto(base + '/');
  await page.waitForSelector('.kpi');
  return page;
}

// Not waitForFunction, which the page's own policy forbids.
export const seen = (page, look) => until('the page', () => page.evaluate(look), 60000);

export async function signIn(page, password = PASSWORD) {
  await page.click('#tools >> text=Sign in');
  await page.fill('dialog input[name=password]', password);
  await page.click('dialog >> button:has-text("Sign in")');
  await page.waitForSelector('#tools >> text=Sign out');
}

export async function go(page, name) {
  await page.goto(page.url().split('#')[0] + '#' + name);
  await page.waitForSelector(`nav a[aria-current][href="#${name}"]`);
}

/** No AA violation, and nothing beside the page. */
export async function sound(page, where) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${where} is ${wide} px too wide`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
  assert.deepEqual(violations.map(({ id, nodes }) => id + ': ' + nodes.slice(0, 3).map(node => node.html.slice(0, 160) + ' ' + node.failureSummary.slice(0, 200)).join(' | ')), [], where);
}

export async function close(page) {
  assert.deepEqual(page.faults, []);
  await page.context().close();
}
