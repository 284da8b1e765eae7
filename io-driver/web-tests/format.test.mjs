// The numbers that people read.
import test from 'node:test';
import assert from 'node:assert/strict';
import * as f from '../web/format.js';

const plain = text => text.replace(/\u202f/g, ' ');
const eq = (got, wanted) => assert.equal(plain(got), wanted);

test('three significant digits with a prefix', () => {
  for (const [value, text] of [[84.6e12, '84.6 TH/s'], [0, '0 H/s'], [999.4, '999 H/s'], [999.6, '1.00 kH/s'], [450e3, '450 kH/s'], [1e18, '1.00 EH/s'], [5.4321e6, '5.43 MH/s'], [-2500, '−2.50 kH/s'], [null, '–'], [NaN, '–'], [Infinity, '–']]) eq(f.rate(value), text);
  for (const [value, text] of [[662460, '662 k'], [12, '12'], [0.000035, '0.000035'], [2.66e-8, '2.66e-8'], [0, '0'], [4100, '4.10 k'], [1.5, '1.50']]) eq(f.si(value), text);
});

test('percent', () => {
  for (const [value, text] of [[0, '0 %'], [0.09, '0.09 %'], [0.001, '< 0.01 %'], [7.25, '7.3 %'], [99.96, '100 %'], [100, '100 %'], [null, '–']]) eq(f.percent(value), text);
  for (const [value, text] of [[0.0005, '0.0005 %'], [0.00000123, '0.0000012 %'], [3.2, '3.2 %'], [1e-12, '1e-12 %']]) eq(f.tiny(value), text);
});

test('points and odds', () => {
  for (const [value, text] of [[-0.04, '−0.04 points'], [0, '+0.00 points'], [0.999, '+1.0 points'], [12.04, '+12.0 points']]) eq(f.points(value), text);
  for (const [value, text] of [[0.9967, '99.7 %'], [0.01, '1.0 %'], [2.7e-6, '1 in 370 k'], [0, '0'], [null, '–'], [NaN, '–']]) eq(f.odds(value), text);
});

test('spans and times', () => {
  for (const [seconds, text] of [[0, '0 s'], [12, '12 s'], [90, '1 min 30 s'], [50400 + 600, '14 h'], [5400, '1 h 30 min'], [86400 * 3, '3 d'], [86400 * 400, '1 y 34 d'], [null, '–'], [3.2e9, '101 years'], [1e20, '> 1 million years']]) eq(f.span(seconds), text);
  eq(f.ago(1000, 13000), '12 s ago');
  eq(f.ago(13000, 13000), 'now');
  eq(f.ago(null, 1), '–');
  eq(f.ms(0.2), '0.20 ms');
  eq(f.ms(0.004), '0.004 ms');
  eq(f.ms(24.4), '24 ms');
  eq(f.ms(12345), '12.3 s');
  eq(f.bytes(64 * 2 ** 20), '67.1 MB');
  eq(f.count(127640), '127 640');
});

test('a cell is never a formula', () => {
  assert.equal(f.csv(['a,b', 'say "x"', '=1+1', -5, null, '@x']), '"a,b","say ""x""",\'=1+1,-5,,\'@x\r\n');
});
