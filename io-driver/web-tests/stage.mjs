// What the browser tests play on: the program itself, a small pool, small miners, and a browser.

import { spawn } from 'node:child_process';
import { createServer, connect } from 'node:net';
import { mkdtempSync, writeFileSync, readFileSync, existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execFileSync } from 'node:child_process';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const PASSWORD = 'correct horse battery';

/** The program under test: DPMP_BIN, or what cargo built last. */
export function program() {
  const folder = process.env.CARGO_TARGET_DIR || join(root, 'target');
  const found = [process.env.DPMP_BIN, join(folder, 'debug', 'dpmp'), join(folder, 'release', 'dpmp')].find(path => path && existsSync(path));
  if (!found) throw new Error('there is no dpmp to test: run cargo build, or set DPMP_BIN');
  return found;
}

/** Chromium on this machine; none if there is none. */
export function chromium() {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try { return execFileSync('which', [name], { stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim(); } catch { /* the next one */ }
  }
  return null;
}

let nextPort = process.pid * 61;
/** A port that was free a moment ago, below those that the system gives to clients. */
export const freePort = () => new Promise(resolve => {
  const server = createServer();
  server.on('error', () => server.listen(10_000 + nextPort++ % 20_000, '127.0.0.1'));
  server.listen(10_000 + nextPort++ % 20_000, '127.0.0.1', () => { const { port } = server.address(); server.close(() => resolve(port)); });
});

export const until = async (what, look, wait = 30000) => {
  const end = Date.now() + wait;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error('waited in vain for ' + what);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
};

/** A pool that gives everybody a job and takes every share; `nbits` 207fffff makes every second one a block. */
export function pool({ nbits = '1d00ffff', difficulty = 1e-9 } = {}) {
  const sockets = new Set();
  const server = createServer(socket => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => 0);
    let rest = '', accepted = 0;
    const send = message => socket.write(JSON.stringify(message) + '\n');
    socket.on('data', data => {
      const lines = (rest + data).split('\n');
      rest = lines.pop();
      for (const line of lines.filter(Boolean)) {
        const { id, method } = JSON.parse(line);
        if (method === 'mining.subscribe') send({ id, result: [[['mining.notify', '1']], 'cafe' + (accepted++ % 10) + '0', 8], error: null });
        else if (method === 'mining.configure') send({ id, result: { 'version-rolling': true, 'version-rolling.mask': '1fffe000' }, error: null });
        else send({ id, result: true, error: null });
        if (method === 'mining.authorize') {
          send({ id: null, method: 'mining.set_difficulty', params: [difficulty] });
          const coinbase = '01000000' + '01' + '00'.repeat(32) + 'ffffffff' + '20' + '03a0860c' + '00'.repeat(8);
          send({ id: null, method: 'mining.notify', params: ['1', '00'.repeat(32), coinbase, 'ffffffff' + '01' + '00f2052a01000000' + '1976a914' + '11'.repeat(20) + '88ac' + '00000000', [], '20000000', nbits, Math.floor(Date.now() / 1000).toString(16), true] });
        }
      }
    });
  });
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve({
    port: server.address().port,
    stop: () => { server.close(); sockets.forEach(socket => socket.destroy()); },
  })));
}

/** A miner that logs in and, when told to, submits shares. */
export function miner(port, user, agent = 'cgminer/4.11.1') {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const send = message => socket.write(JSON.stringify(message) + '\n');
    let rest = '', job, size = 8, id = 10;
    const self = {
      socket,
      submit: () => send({ id: ++id, method: 'mining.submit', params: [user, job, id.toString(16).padStart(size * 2, '0'), Math.floor(Date.now() / 1000).toString(16), (id * 2654435761 >>> 0).toString(16).padStart(8, '0')] }),
      stop: () => socket.destroy(),
    };
    socket.on('error', reject).on('connect', () => { send({ id: 1, method: 'mining.subscribe', params: [agent] }); send({ id: 2, method: 'mining.authorize', params: [user, 'x'] }); });
    socket.on('data', data => {
      const lines = (rest + data).split('\n');
      rest = lines.pop();
      for (const line of lines.filter(Boolean)) {
        const message = JSON.parse(line);
        if (message.id === 1) size = message.result[2];
        if (message.method === 'mining.notify') { job = message.params[0]; resolve(self); }
      }
    });
  });
}

/** dpmp with a config of its own between two pools; `files` lie beside the config, by name. */
export async function site({ config = {}, files = {}, ...options } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'dpmp-web-'));
  const pools = [await pool(options), await pool(options)];
  const [port, page] = [await freePort(), await freePort()];
  const file = join(folder, 'config_v2.json');
  writeFileSync(file, JSON.stringify({
    listen: { host: '127.0.0.1', port }, metrics: { enabled: false }, dashboard: { host: '127.0.0.1', port: page },
    pools: { A: { name: 'Solo', host: '127.0.0.1', port: pools[0].port, wallet: '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa', chain: 'BTC' }, B: { name: 'Cash', host: '127.0.0.1', port: pools[1].port, wallet: 'walletB', chain: 'BCH' } },
    ...config,
  }, null, 2));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const env = { ...process.env, DASHBOARD_PASSWORD: PASSWORD };
  const child = spawn(program(), ['--config', file], { env, stdio: 'ignore' });
  const base = 'http://127.0.0.1:' + page;
  await until('the dashboard', () => fetch(base + '/api/v1/state').then(answer => answer.ok, () => false));
  return {
    base, port, pools, file, child, text: () => readFileSync(file, 'utf8'),
    stop: async () => { child.kill('SIGKILL'); pools.forEach(pool => pool.stop()); await new Promise(resolve => child.exitCode == null ? child.on('exit', resolve) : resolve()); rmSync(folder, { recursive: true, force: true }); },
  };
}

/** The demo, as a newcomer starts it. */
export async function demo(...more) {
  const [port, metrics, page] = [await freePort(), await freePort(), await freePort()];
  const at = port => '127.0.0.1:' + port;
  const env = { ...process.env, DASHBOARD_PASSWORD: PASSWORD };
  const child = spawn(program(), ['demo', '--listen', at(port), '--metrics', at(metrics), '--dashboard', at(page), ...more], { env, stdio: 'ignore' });
  const base = 'http://' + at(page);
  await until('the demo', () => fetch(base + '/api/v1/state').then(answer => answer.ok, () => false));
  return { base, child, stop: async () => { child.kill('SIGTERM'); await new Promise(resolve => child.exitCode == null ? child.on('exit', resolve) : resolve()); } };
}
