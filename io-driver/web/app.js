// The frame: which page, what is asked, who is signed in, messages. Pages are functions from data to elements.

import { h, fill, badge, button, dialog } from './dom.js';
import { get, post, Poller } from './api.js';
import { rate, span } from './format.js';
import { drawAll } from './chart.js';
import * as home from './home.js';
import * as stats from './stats.js';
import * as config from './config.js';
import * as logs from './logs.js';
import * as about from './about.js';

const PAGES = { home, stats, config, logs, about };
const ICONS = { home: 'M4 11l8-7 8 7v9h-5v-6H9v6H4z', stats: 'M5 20v-8M12 20V4M19 20v-12', config: 'M4 7h10M18 7h2M4 17h2M10 17h10M16 4v6M8 14v6', logs: 'M5 6h14M5 12h14M5 18h9', about: 'M12 3a9 9 0 1 0 .01 0M12 11v6M12 7v.5' };
const $ = id => document.getElementById(id);

/** All that pages may use. */
export const app = { data: {}, session: {}, page: 'home', draw, toast, login, act, ask: key => poller.now(key), size: 0 };

const poller = new Poller((key, answer, error) => {
  app.data[key] = answer || app.data[key];
  if (error && error.status === 401) app.refused = key; else if (app.refused === key) app.refused = null;
  if (key === 'state' && answer && answer.signed_in !== !!app.session.signed_in) whoAmI();
  app.skew = answer && answer.now ? answer.now - Date.now() : app.skew || 0;
  draw();
}, (fails, pause, error) => {
  app.lost = fails > 1 && { pause, error };
  draw();
});

/** The server's clock. */
export const now = () => Date.now() + (app.skew || 0);

function draw() {
  const state = app.data.state, page = PAGES[app.page];
  document.body.classList.toggle('lost', !!app.lost);
  const hash = state && state.hashrate.m5 != null ? rate(state.hashrate.m5) : '';
  document.title = app.lost ? 'Lost contact · dpmp' : [hash, 'dpmp'].filter(Boolean).join(' · ');
  fill($('nav'), Object.entries(PAGES).map(([name, { title }]) => h('a', { href: '#' + name, 'aria-current': name === app.page ? 'page' : null }, h('svg', { viewBox: '0 0 24 24', width: 22, height: 22, fill: 'none', stroke: 'currentColor', 'stroke-width': 2, 'aria-hidden': 'true' }, h('path', { d: ICONS[name] })), title)));
  const theme = localStorage.theme || 'auto';
  fill($('tools'), h('span', { role: 'status' }, app.lost ? badge('bad', 'Lost contact') : state ? health(state) : badge('note', app.refused ? 'Signed out' : 'Loading')),
    h('button', { type: 'button', onclick: nextTheme, 'aria-label': 'Theme: ' + theme }, h('span', { 'aria-hidden': 'true' }, { auto: '◐', light: '☀', dark: '☾' }[theme]), h('span.only-wide', 'Theme: ' + theme)),
    app.session.signed_in ? button('Sign out', logout, { class: 'slim' }) : button('Sign in', login, { class: 'main slim' }));
  const needs = app.refused && !app.session.signed_in;
  const content = needs ? signInFirst() : page.view(app);
  fill($('main'), lostBanner(), h('h1.skip', page.title), content);
  drawAll($('main'));
  if (!needs) page.after?.(app, $('main'));
}

function health(state) {
  const worst = (state.banners[0] || {}).weight;
  return worst === 'bad' ? badge('bad', 'Trouble') : worst === 'warn' ? badge('warn', 'Look here') : state.miners.known ? badge('good', 'Running') : badge('note', 'Waiting');
}

const signInFirst = () => h('section.card', h('h2', 'Sign in to see this'), h('p', 'It shows more than everybody on your network should see.'), h('div.flow', button('Sign in', login, { class: 'main' })));

const lostBanner = () => app.lost && h('div.banner.bad', { role: 'alert' }, h('p', h('b', '✖ Lost contact with dpmp'), 'What you see is old. Miners may well be working: this page just cannot reach the proxy. Next try in ' + span(app.lost.pause / 1000) + '.'));

function route() {
  const name = location.hash.slice(1).split('/')[0];
  const before = app.page;
  app.page = PAGES[name] ? name : 'home';
  app.refused = null;
  const wanted = { state: ['state', 2000] };
  for (const [key, path, every] of PAGES[app.page].polls(app)) wanted[key] = [path, every];
  poller.ask(wanted);
  PAGES[app.page].enter?.(app);
  draw();
  if (before !== app.page) { scrollTo(0, 0); $('main').focus({ preventScroll: true }); }
}

/** Asks anew what the page needs: something in its choice has changed. */
app.route = route;

function nextTheme() {
  const order = ['auto', 'light', 'dark'];
  localStorage.theme = order[(order.indexOf(localStorage.theme || 'auto') + 1) % 3];
  paint();
  draw();
}

const dark = matchMedia('(prefers-color-scheme: dark)');
function paint() {
  const theme = localStorage.theme || 'auto';
  document.documentElement.dataset.theme = theme === 'auto' ? dark.matches ? 'dark' : 'light' : theme;
}

/** A message at the foot; `action` is [word, what to do]. */
function toast(text, action, stay = 6000) {
  const el = h('div.toast', h('span', text), action && button(action[0], () => { el.remove(); return action[1](); }));
  $('toasts').append(el);
  setTimeout(() => el.remove(), stay);
  return el;
}

/** Does something that changes the proxy; signs in first if need be, and says what went wrong. */
async function act(work) {
  if (!app.session.signed_in && !await login()) return null;
  try {
    return await work();
  } catch (error) {
    if (error.status === 401) { app.session.signed_in = false; if (await login()) return act(work); return null; }
    toast('✖ ' + error.message, null, 10000);
    return null;
  }
}

/** Asks for the password; true when signed in. */
async function login() {
  const done = await dialog('Sign in', close => {
    const problem = h('p.bad', { role: 'alert' });
    const submit = async event => {
      event.preventDefault();
      const form = event.target;
      try {
        await post('login', { password: form.password.value });
        await whoAmI();
        close(true);
      } catch (error) { problem.textContent = error.message; form.password.select(); }
    };
    return h('form', { onsubmit: submit },
      h('label', 'Password', h('input', { type: 'password', name: 'password', autocomplete: 'current-password', required: true, autofocus: true })),
      h('small.soft', app.session.no_passwords || 'The first password stands in dashboard-password.txt beside the config. Forgotten: dpmp reset-password.'), problem,
      h('div.flow', h('button.main', { type: 'submit' }, 'Sign in')));
  });
  if (done && app.session.first) await ownPassword();
  app.refused = null;
  route();
  return !!app.session.signed_in;
}

/** Sets an own password. */
export const ownPassword = () => dialog('Choose your own password', close => {
  const problem = h('p.bad', { role: 'alert' });
  const submit = async event => {
    event.preventDefault();
    const { current, fresh, again } = event.target;
    if (fresh.value !== again.value) { problem.textContent = 'The two new passwords differ.'; return; }
    try { await post('password', { current: current.value, new: fresh.value }); await whoAmI(); close(true); toast('● The password is yours now.'); } catch (error) { problem.textContent = error.message; }
  };
  const field = (label, name, complete) => h('label', label, h('input', { type: 'password', name, autocomplete: complete, required: true }));
  return h('form', { onsubmit: submit }, field('Password until now', 'current', 'current-password'), field('New password, 10 characters or more', 'fresh', 'new-password'), field('New password again', 'again', 'new-password'), problem, h('div.flow', h('button.main', { type: 'submit' }, 'Set it')));
});

async function logout() {
  await post('logout').catch(() => 0);
  for (const key of Object.keys(app.data)) if (key !== 'state') delete app.data[key];
  await whoAmI();
  route();
}

async function whoAmI() {
  app.session = await get('session').catch(() => app.session);
  draw();
}

paint();
dark.addEventListener('change', paint);
addEventListener('hashchange', route);
addEventListener('resize', () => { clearTimeout(app.size); app.size = setTimeout(draw, 120); });
whoAmI();
route();
