// The geometry of charts.
import test from 'node:test';
import assert from 'node:assert/strict';
import { ticks, timeTicks, line, area, stack, runs, placed } from '../web/chart.js';

test('grids have round steps and cover the most', () => {
  for (const max of [0.3, 1, 7, 84.6e12, 999, 1e-5]) {
    const found = ticks(max);
    assert.ok(found[0] === 0 && found.at(-1) >= max * 0.999 && found.length >= 3 && found.length <= 7, `${max}: ${found}`);
  }
  assert.deepEqual(ticks(100), [0, 25, 50, 75, 100]);
  assert.deepEqual(ticks(0), [0, 1]);
  // What is counted has no halves, which would be shown as the numbers beside them.
  for (const max of [1, 2, 7, 10, 23, 999]) assert.ok(ticks(max, 4, true).every(Number.isInteger), `${max}`);
});

test('times are whole hours of the viewer', () => {
  const start = 1769860800;
  assert.deepEqual(timeTicks(start, start + 3600, 4), [0, 900, 1800, 2700, 3600].map(n => start + n));
  const zone = 19800; // UTC+5:30
  for (const t of timeTicks(start, start + 86400, 6, zone)) assert.equal((t + zone) % 14400 % 3600, 0);
});

test('gaps break lines, and a single value is seen', () => {
  const x = i => i * 10, y = v => 100 - v;
  assert.equal(line([1, 2, null, 4, null], x, y), 'M0 99L10 98M30 96h.1');
  assert.equal(line([null, null], x, y), '');
  assert.equal(area([1, 2, null, 4], [], x, y), 'M0 99L10 98L10 100L0 100ZM30 96L30 100Z');
});

test('stacks add up, and only a gap in all is a gap', () => {
  assert.deepEqual(stack([[1, null, null], [2, 3, null]]), [[1, null, null], [3, 3, null]]);
});

test('runs of an outage', () => {
  assert.deepEqual(runs([0, 1, 1, 0, 1], value => value === 1), [[1, 3], [4, 5]]);
});

test('many marks are flags alone, but a block is always whole', () => {
  const marks = Array.from({ length: 100 }, (_, at) => ({ at, kind: at === 50 ? 'block' : 'down' }));
  const found = placed(marks, mark => mark.at * 3, 300);
  assert.ok(found.length < 40 && found.filter(([, , whole]) => whole).length === 1);
  assert.ok(placed(marks.slice(0, 3), mark => mark.at * 90, 300).every(([, , whole]) => whole));
});
