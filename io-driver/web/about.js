// About: the address for miners, whether all is well around the proxy, password and tokens, versions and paths.

import { h, badge, button, dialog } from './dom.js';
import { get, post, call } from './api.js';
import { moment, span, ago } from './format.js';
import { ownPassword, now } from './app.js';

export const title = 'About';
export const polls = () => [['about', 'about', 60000], ['tokens', 'tokens', 60000]];

function qr(rows) {
  const n = rows.length + 8;
  const path = rows.flatMap((row, y) => [...row].map((bit, x) => bit === '1' ? `M${x + 4} ${y + 4}h1v1h-1z` : '')).join('');
  return h('svg.qr', { viewBox: `0 0 ${n} ${n}`, role: 'img', 'aria-label': 'QR code of this address', 'shape-rendering': 'crispEdges' }, h('path', { d: path, fill: '#000' }));
}

async function copy(app, text) {
  try { await navigator.clipboard.writeText(text); app.toast('● Copied.'); } catch { app.toast('Copy it by hand: ' + text); }
}

async function newToken(app) {
  const name = await dialog('New API token', close => h('form', { onsubmit: event => { event.preventDefault(); close(event.target.name_.value); } }, h('label', 'Name, to know it by', h('input', { type: 'text', name: 'name_', required: true, maxlength: 64, autofocus: true })), h('div.flow', h('button.main', { type: 'submit' }, 'Make it'))));
  if (!name) return;
  const made = await app.act(() => post('tokens', { name }));
  if (!made) return;
  app.ask('tokens');
  dialog('Your token', close => h('div.form', h('p', 'It is shown this once. Send it as “Authorization: Bearer …”.'), h('p', h('code', made.token)), h('div.flow', button('Copy', () => copy(app, made.token)), button('Done', () => close(), { class: 'main' }))));
}

export function view(app) {
  const { about, tokens } = app.data;
  if (!about) return h('p.empty', 'Asking dpmp…');
  const fact = (name, value) => value && h('div', h('dt', name), h('dd', value));
  return [
    h('section.card', h('h2', 'Give this to your miners'), h('p.soft', 'User: anything.name, only the name behind the last dot counts. Password: anything.'),
      h('div.flow', about.miners.map(miner => h('div.flow', miner.qr && qr(miner.qr), h('div.form', h('code', miner.url), button('Copy', () => copy(app, miner.url))))))),
    h('section.card.c6', h('h2', 'Self-check'), about.checks.map(check => h('div.row', h('span', check.name), h('span', h('span.soft', check.text + ' '), badge(check.good ? 'good' : 'bad', check.good ? 'Good' : 'Look here'))))),
    h('section.card.c6', h('h2', 'Who may come in'),
      app.session.fixed ? h('p.soft', 'The password is set by DASHBOARD_PASSWORD.') : h('div.flow', button('Change the password', ownPassword)),
      h('h3', 'API tokens for scripts'), tokens && tokens.tokens.length ? h('ul.events', tokens.tokens.map(token => h('li', h('span', h('b', token.name), ' · made ', ago(token.created * 1000, now())), button('Revoke', () => app.act(() => call('DELETE', 'tokens/' + token.id)).then(() => app.ask('tokens')))))) : h('p.soft', 'None.'),
      h('div.flow', button('New token', () => newToken(app)))),
    h('section.card', h('h2', 'dpmp ' + about.version), h('dl.facts', fact('Commit', about.commit && about.commit.slice(0, 12)), fact('Running for', span((now() - about.started) / 1000)), fact('Started', moment(about.started)), Object.entries(about.paths).map(([name, path]) => fact(name[0].toUpperCase() + name.slice(1), path && h('code', path))), fact('Licence', about.licence)),
      h('p.soft', 'Made with axum, hyper, tokio, mio, serde, argon2, prometheus, hdrhistogram, qrcodegen and other free libraries: MIT, Apache-2.0 and BSD licences. The list is in Cargo.lock.'))];
}
