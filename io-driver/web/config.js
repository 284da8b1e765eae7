// Config: a form from the server's schema, a review before anything changes, the history, raw JSON.

import { h, badge, letter, button, dialog, save } from './dom.js';
import { get, post, call } from './api.js';
import { moment } from './format.js';

export const title = 'Config';
export const polls = () => [];

const SECTIONS = { pools: 'Pools', scheduler: 'How work is divided', downstream_diff: 'Difficulty told to miners', vardiff: 'Difficulty by miner', listen: 'Miners connect here', limits: 'Limits', metrics: 'Metrics', dashboard: 'Dashboard', recording: 'Recording', logging: 'Log' };
let fields = null, config = null, draft = null, raw = null, kept = [], problem = null, tests = {};

export async function enter(app) {
  if (draft && JSON.stringify(draft) !== JSON.stringify(config.config)) return;
  await load(app);
}

async function load(app) {
  try {
    config = await get('config');
    fields = fields || (await get('config/schema')).fields;
    kept = (await get('config/history')).history;
    draft = structuredClone(config.config);
    raw = problem = app.refused = null;
    tests = {};
  } catch (error) {
    problem = error;
    if (error.status === 401) app.refused = 'config';
  }
  app.draw();
}

const at = (tree, path) => path.split('.').reduce((node, key) => node == null ? node : node[key], tree);

function set(path, value) {
  const keys = path.split('.'), last = keys.pop();
  let node = draft;
  for (const key of keys) node = node[key] = typeof node[key] === 'object' && node[key] ? node[key] : {};
  if (value === undefined) delete node[last]; else node[last] = value;
}

const isPlaceholder = value => /POOL_.*_(HOST|WALLET)/.test(value);

function input(app, field, path) {
  const value = at(draft, path), before = at(config.config, path), standard = JSON.parse(field.default);
  const changed = JSON.stringify(value) !== JSON.stringify(before);
  const locked = config.locked && (path.startsWith('pools.') || ['dashboard.lock_wallets', 'logging.file', 'recording.dir'].includes(path));
  const over = config.overridden.find(({ path: key }) => path === key || path.startsWith(key + '.'));
  const use = parsed => { set(path, parsed); app.draw(); };
  const props = { disabled: locked, class: changed ? 'changed' : '', name: path };
  const shown = value == null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  const hint = standard == null || standard === '' || typeof standard === 'object' ? '' : String(standard);
  const help = h('small.soft', over ? 'Without effect: ' + over.by + ' sets it.' : isPlaceholder(shown) ? h('span.warn', '▲ Still the example’s value. ') : null, field.help, changed && h('span', ' Was: ' + (path.endsWith('password') ? 'hidden' : before == null ? 'not set' : JSON.stringify(before)) + '.'));
  const typed = (parse, more = {}) => h('label', { class: path.endsWith('.wallet') ? 'wide' : null }, field.label, h('input', { type: 'text', value: shown, placeholder: hint, autocomplete: 'off', spellcheck: 'false', ...props, ...more, onchange: event => use(parse(event.target.value.trim())) }), help);
  const orNone = text => text === '' ? before === undefined ? undefined : standard === null ? null : '' : text;
  switch (field.kind) {
    case 'flag': return h('div', h('label.check', h('input', { type: 'checkbox', ...props, checked: value ?? standard, onchange: event => use(event.target.checked) }), field.label), help);
    case 'choice': return h('label', field.label, h('select', { ...props, onchange: event => use(event.target.value) }, field.of.map(word => h('option', { value: word, selected: word === (value ?? standard) }, word))), help);
    case 'pool': return h('label', field.label, h('select', { ...props, onchange: event => use(event.target.value || null) }, ['', ...Object.keys(draft.pools || {})].map(key => h('option', { value: key, selected: key === (value ?? '') }, key || 'none'))), help);
    case 'number': return typed(text => text === '' ? before === undefined ? undefined : null : isFinite(text) ? Number(text) : text, { inputmode: 'decimal', type: 'number', min: field.min, max: field.max, step: 'any' });
    case 'words': return typed(text => text ? text.split(',').map(word => word.trim()).filter(Boolean) : [], { value: Array.isArray(value) ? value.join(', ') : shown, placeholder: 'names with commas between' });
    case 'pins': case 'weights': return typed(text => { try { return text ? JSON.parse(text) : undefined; } catch { return text; } }, { placeholder: field.kind === 'pins' ? '{"worker": "A"}' : '{"A": 50, "B": 50}' });
    default: return typed(orNone, field.secret ? { type: 'password', autocomplete: 'new-password' } : {});
  }
}

async function tryPool(app, key) {
  const { host = '', port = 3333, wallet = '', password = '' } = draft.pools[key];
  tests[key] = { busy: true };
  app.draw();
  tests[key] = await app.act(() => post('test-pool', { host, port: Number(port), wallet, password })) || null;
  app.draw();
}

const steps = result => result && (result.busy ? h('p.soft', 'Trying…') : h('div.flow', { role: 'status' }, result.steps.map(step => badge(step.good ? 'good' : 'bad', step.name + ' ' + step.ms + ' ms' + (step.text ? ': ' + step.text : '')))));

function pools(app) {
  const own = fields.filter(field => field.path.startsWith('pools.*.')), keys = Object.keys(draft.pools || {});
  return keys.map(key => h('fieldset.card', h('legend.skip', 'Pool ' + key), h('div.row', h('div.flow', letter(key), h('h2', 'Pool ' + key)), button('Test pool', () => tryPool(app, key))), steps(tests[key]), config.wallets.filter(wallet => wallet.pool === key && wallet.new === draft.pools[key].wallet && wallet.good !== null).map(verdictOf), h('div.fields', own.map(field => input(app, field, field.path.replace('*', key))))));
}

const section = (app, name) => h('details.card', h('summary', h('h2', SECTIONS[name])), h('div.fields', fields.filter(field => field.path.startsWith(name + '.')).map(field => input(app, field, field.path))));

const text = () => raw ?? JSON.stringify(draft, null, 2) + '\n';

const list = problems => problems.map(flaw => h('p.' + (flaw.severity === 'error' ? 'bad' : 'warn'), (flaw.severity === 'error' ? '✖ ' : '▲ ') + flaw.path + (flaw.value ? ' = ' + flaw.value : '') + ': ' + flaw.what + (flaw.mend ? '; ' + flaw.mend : '')));

const changes = differences => differences.length ? h('div.scroll', { tabindex: 0 }, h('table.pairs', h('thead', h('tr', ['Key', 'Now', 'Then'].map((word, i) => h('th', { scope: 'col', class: i ? 'left' : null }, word)))), h('tbody', differences.map(d => h('tr', h('td', h('code', d.path.split(/(?<=\.)/).map(key => [key, h('wbr')]))), h('td.left.old', d.old ?? '–'), h('td.left.new', d.new ?? '–')))))) : h('p.soft', 'No key changes.');

const verdictOf = wallet => wallet.verdict ? h('p.' + (wallet.good ? 'good' : wallet.good === false ? 'bad' : 'warn'), (wallet.good ? '● ' : wallet.good === false ? '✖ ' : '▲ ') + 'Wallet of pool ' + wallet.pool + ': ' + wallet.verdict) : null;

/** Shows what a text would do, and does it if wanted. */
async function review(app, verdict, name, run) {
  return dialog(name, close => {
    const said = h('div', { role: 'alert' });
    const submit = async event => {
      event.preventDefault();
      const form = event.target, go = form.querySelector('.main');
      go.setAttribute('aria-busy', 'true');
      said.replaceChildren(h('p.soft', 'Applying…'));
      try {
        await run(form.password ? form.password.value : undefined);
        close(true);
      } catch (error) {
        said.replaceChildren(h('p.bad', '✖ ' + error.message), ...(error.body.verdict ? list(error.body.verdict.problems) : []), h('p.soft', error.status === 412 ? 'Somebody else saved meanwhile. Close this, and load the config again.' : 'Nothing was changed: what was in force stays.'));
      }
      go.removeAttribute('aria-busy');
    };
    return h('form', { onsubmit: submit }, (verdict.usable || verdict.differences.length > 0) && changes(verdict.differences), (verdict.wallets || []).map(verdictOf),
      h('h3', 'What it does'), verdict.effects.length ? h('ul', verdict.effects.map(effect => h('li', effect.text))) : h('p.soft', verdict.usable ? 'Nothing: miners and pools notice nothing.' : 'It cannot be applied.'),
      list(verdict.problems), said,
      verdict.locked ? h('p.warn', '▲ dashboard.lock_wallets is on: pools, wallets and the names of files are changed in the file alone.') : verdict.usable && [verdict.needs_password && h('label', 'Password again, because a pool, a wallet or the name of a file changes', h('input', { type: 'password', name: 'password', required: true, autocomplete: 'current-password' })), h('div.flow', h('button.main', { type: 'submit' }, 'Apply'))]);
  }, true);
}

async function apply(app) {
  const wanted = text();
  const verdict = await app.act(() => post('config/check', { text: wanted }));
  if (!verdict) return;
  const done = await review(app, verdict, 'Review', password => call('PUT', 'config', { text: wanted, password }, { 'If-Match': '"' + config.version + '"' }));
  if (done) {
    const before = kept.find(version => version.in_force);
    await load(app);
    app.ask('state');
    app.toast('● The config is in force.', before && ['Go back', () => back(app, before.number)], 15000);
  }
}

async function back(app, number) {
  const version = await app.act(() => get('config/history/' + number));
  if (!version) return;
  const done = await review(app, { ...version.verdict, needs_password: version.needs_password }, 'Back to version ' + number, password => post2('config/rollback', { number, password }));
  if (done) { await load(app); app.ask('state'); app.toast('● Version ' + number + ' is in force again.'); }
}

/** Back to a version from elsewhere: of a banner. */
export const undo = (app, number) => app.act(async () => { await enter(app); await back(app, number); });

const post2 = (path, body) => call('POST', path, body, { 'If-Match': '"' + config.version + '"' });

const stamp = at => moment(Date.UTC(at.slice(0, 4), at.slice(4, 6) - 1, at.slice(6, 8), at.slice(9, 11), at.slice(11, 13), at.slice(13, 15)));

const history = app => h('section.card', h('h2', 'History'), h('ul.events', { tabindex: 0, 'aria-label': 'Versions, newest first' }, kept.map(version => h('li', h('time', stamp(version.at)), h('span', 'version ' + version.number + ', by ' + version.source), version.in_force ? badge('good', 'In force') : button('Go back to it', () => back(app, version.number))))));

async function importFile(app, event) {
  const file = event.target.files[0];
  if (!file) return;
  if (file.size > 1 << 20) return app.toast('✖ A config has a few KiB: is this the right file?');
  raw = await file.text();
  app.draw();
}

export function view(app) {
  if (problem && problem.status !== 401) return h('section.card', h('h2', 'Config'), h('p', problem.message));
  if (!config || !fields) return h('p.empty', 'Loading the config…');
  const dirty = raw != null ? raw !== config.text : JSON.stringify(draft) !== JSON.stringify(config.config);
  return [
    config.refused && h('div.banner.bad', { role: 'alert' }, h('p', h('b', '✖ The file on the disk is not in force'), config.refused.why)),
    config.locked && h('div.banner.note', h('p', h('b', 'Wallets are locked'), 'Pools, wallets and the names of files are changed in the file alone.')),
    h('div.row', h('h2', 'Everything in ', h('code', 'config_v2.json')), h('div.flow',
      h('button', { type: 'button', onclick: () => { if (raw == null) raw = text(); else { try { draft = JSON.parse(raw); raw = null; } catch (error) { app.toast('✖ ' + error.message); } } app.draw(); } }, raw == null ? 'Raw JSON' : 'Form'),
      h('button', { type: 'button', onclick: () => save('config_v2.json', 'application/json', text()) }, 'Export'),
      h('label.button', 'Import', h('input.skip', { type: 'file', accept: '.json,application/json', onchange: event => importFile(app, event) })))),
    raw == null && draft ? [pools(app), Object.keys(SECTIONS).slice(1).map(name => section(app, name))]
      : h('section.card', h('label', 'The whole config as JSON', h('textarea', { spellcheck: 'false', value: raw ?? config.text, oninput: event => { raw = event.target.value; app.draw(); } }, raw ?? config.text))),
    h('div.sticky.row', h('span', { role: 'status' }, dirty ? badge('warn', 'Not applied yet') : badge('good', 'As in the file')), h('div.flow',
      dirty && h('button', { type: 'button', onclick: () => load(app) }, 'Discard'),
      button('Review and apply', () => apply(app), { class: 'main', disabled: !dirty }))),
    config.problems.length ? h('section.card', h('h2', 'Hints'), list(config.problems)) : null,
    history(app)];
}
