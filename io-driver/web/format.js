// Numbers, times and spans as people read them. No DOM here: node tests this file.

export const NONE = '–';
const UP = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const thin = '\u202f';

// So many significant digits of a number below 1, without zeros at the end.
const small = (value, digits) => value.toFixed(Math.min(15, digits - 1 - Math.floor(Math.log10(value)))).replace(/0+$/, '');

/** Three significant digits with an SI prefix: 84.6 TH/s. */
export function si(value, unit = '') {
  if (value == null || !isFinite(value)) return NONE;
  let size = Math.abs(value), step = 0;
  // 999.6 is shown as 1.00 of the next prefix.
  while (size >= 999.5 && step < UP.length - 1) { size /= 1000; step++; }
  const digits = size === 0 || (step === 0 && size >= 100) ? 0 : size < 9.995 ? 2 : size < 99.95 ? 1 : 0;
  const text = (value < 0 ? '−' : '') + (step === 0 && Number.isInteger(size) ? String(size) : size && size < 1e-6 ? size.toExponential(2) : size < 0.1 ? small(size, 3) : size.toFixed(digits));
  const tail = UP[step] + unit;
  return tail ? text + thin + tail : text;
}

export const rate = value => si(value, 'H/s');
export const count = value => value == null ? NONE : Math.round(value).toLocaleString('en-US').replace(/,/g, thin);

/** Two digits behind the point below 1, none from 100 on. */
export function percent(value) {
  if (value == null || !isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size > 0 && size < 0.005) return '< 0.01' + thin + '%';
  return value.toFixed(size === 0 || size >= 99.95 ? 0 : size < 1 ? 2 : 1) + thin + '%';
}

/** Percentage points with their sign. */
export const points = value => (value < 0 ? '−' : '+') + Math.abs(value).toFixed(Math.abs(value) < .995 ? 2 : 1) + ' points';

/** A chance from 0 to 1: 12.0 %, or 1 in 8.00 M. */
export const odds = value => value == null || !(value >= 0) ? NONE : value === 0 ? '0' : value >= .01 ? percent(value * 100) : '1 in ' + si(1 / value);

/** A part of a whole in percent, however small: 0.0005 %. */
export function tiny(value) {
  if (value == null || !isFinite(value)) return NONE;
  return value >= 0.01 || value === 0 ? percent(value) : (value < 1e-9 ? value.toExponential(0) : small(value, 2)) + thin + '%';
}

/** Milliseconds. */
export function ms(value) {
  if (value == null || !isFinite(value)) return NONE;
  return value < 10000 ? (value === 0 ? 0 : value < 0.1 ? small(value, 1) : value < 1 ? value.toFixed(2) : value < 9.95 ? value.toFixed(1) : Math.round(value)) + thin + 'ms' : si(value / 1000, 's');
}

const SPANS = [[31557600, 'y'], [86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];

/** Seconds in one or two units: 14 h 10 min. */
export function span(seconds) {
  if (seconds == null || !isFinite(seconds)) return NONE;
  if (seconds > 31557600 * 1e6) return '> 1 million years';
  if (seconds >= 31557600 * 100) return count(seconds / 31557600) + thin + 'years';
  let left = Math.max(0, Math.round(seconds));
  for (let i = 0; i < SPANS.length; i++) {
    const [size, name] = SPANS[i];
    if (left < size) continue;
    const whole = Math.floor(left / size), next = SPANS[i + 1];
    const rest = next && whole < 10 ? Math.floor((left % size) / next[0]) : 0;
    return whole + thin + name + (rest ? ' ' + rest + thin + next[1] : '');
  }
  return '0' + thin + 's';
}

export const ago = (at, now) => at == null ? NONE : now - at < 1500 ? 'now' : span((now - at) / 1000) + ' ago';

const format = options => new Intl.DateTimeFormat(undefined, options);
const TIME = format({ hour: '2-digit', minute: '2-digit' });
const EXACT = format({ hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = format({ month: 'short', day: 'numeric' });

/** In the viewer's zone; the day too when the span is of days. */
export const time = (at, days) => (days ? DAY : TIME).format(at);
export const clock = at => EXACT.format(at);
export const moment = at => at == null ? NONE : DAY.format(at) + ', ' + EXACT.format(at);

/** Bytes. */
export const bytes = value => value < 1000 ? value + thin + 'B' : si(value, 'B');

/** One line of a CSV file. A spreadsheet takes a cell that begins with = for a formula. */
export const csv = cells => cells.map(cell => {
  const text = cell == null ? '' : typeof cell === 'number' ? String(cell) : String(cell).replace(/^([=+\-@\t\r])/, "'$1");
  return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
}).join(',') + '\r\n';
