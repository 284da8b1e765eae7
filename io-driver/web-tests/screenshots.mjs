// The pictures of the README, taken from the demo: node screenshots.mjs [seconds to let it run]

import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium as playwright } from 'playwright-core';
import { chromium, demo, PASSWORD } from './stage.mjs';

const folder = fileURLToPath(new URL('../../docs/images/', import.meta.url));
mkdirSync(folder, { recursive: true });
// Without the demo's outages, which come a hundred times as often as in life.
const stage = await demo('--calm');
const browser = await playwright.launch({ executablePath: chromium(), args: ['--no-sandbox'] });
try {
  await new Promise(resolve => setTimeout(resolve, 1000 * (process.argv[2] || 240)));
  for (const [name, hash, width, height, colorScheme] of [['desktop', 'home', 1280, 1640, 'dark'], ['desktop-light', 'home', 1280, 1000, 'light'], ['stats', 'stats', 1280, 900, 'dark'], ['phone', 'home', 390, 844, 'dark']]) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, deviceScaleFactor: width < 500 ? 2 : 1, locale: 'en-GB', timezoneId: 'UTC' });
    const page = await context.newPage();
    await page.goto(stage.base + '/');
    await page.click('#tools >> text=Sign in');
    await page.fill('dialog input[name=password]', PASSWORD);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#tools >> text=Sign out');
    await page.goto(stage.base + '/#' + hash);
    // The button that was pressed last keeps its ring and looks pointed at.
    await page.evaluate(() => document.activeElement.blur());
    await page.mouse.move(1, 1);
    await page.waitForTimeout(3000);
    if (hash === 'home') await page.waitForSelector('text=All is well', { timeout: 120000 });
    await page.screenshot({ path: folder + name + '.png' });
    if (name === 'desktop') await page.locator('.measured').screenshot({ path: folder + 'measured.png' });
    await context.close();
  }
} finally {
  await browser.close();
  await stage.stop();
}
