import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyFor } from './proxy.ts';

const BOTH = { HTTPS_PROXY: 'http://secure.proxy:3128', HTTP_PROXY: 'http://plain.proxy:3128' };
const ROWS: readonly {
  name: string;
  url: string;
  environment: Record<string, string>;
  proxy: string | undefined;
}[] = [
  {
    name: 'https uses HTTPS_PROXY',
    url: 'https://r.example/',
    environment: BOTH,
    proxy: 'http://secure.proxy:3128',
  },
  {
    name: 'http uses HTTP_PROXY',
    url: 'http://r.example/',
    environment: BOTH,
    proxy: 'http://plain.proxy:3128',
  },
  {
    name: 'lower case counts too',
    url: 'https://r.example/',
    environment: { https_proxy: 'p:1' },
    proxy: 'http://p:1',
  },
  {
    name: 'this machine is never proxied',
    url: 'http://127.0.0.1:5000/',
    environment: BOTH,
    proxy: undefined,
  },
  {
    name: 'a CGI request cannot set a proxy',
    url: 'http://r.example/',
    environment: { HTTP_PROXY: 'evil:1', REQUEST_METHOD: 'GET' },
    proxy: undefined,
  },
  {
    name: 'NO_PROXY *',
    url: 'https://r.example/',
    environment: { ...BOTH, NO_PROXY: '*' },
    proxy: undefined,
  },
  {
    name: 'NO_PROXY name',
    url: 'https://r.example/',
    environment: { ...BOTH, NO_PROXY: 'x, r.example' },
    proxy: undefined,
  },
  {
    name: 'NO_PROXY name covers what is below it',
    url: 'https://a.r.example/',
    environment: { ...BOTH, NO_PROXY: 'r.example' },
    proxy: undefined,
  },
  {
    name: 'NO_PROXY name is not an ending',
    url: 'https://bar.example/',
    environment: { ...BOTH, NO_PROXY: 'r.example' },
    proxy: 'http://secure.proxy:3128',
  },
  {
    name: 'NO_PROXY .name covers only what is below it',
    url: 'https://r.example/',
    environment: { ...BOTH, NO_PROXY: '.r.example' },
    proxy: 'http://secure.proxy:3128',
  },
  {
    name: 'NO_PROXY address range',
    url: 'https://10.1.2.3/',
    environment: { ...BOTH, NO_PROXY: '10.0.0.0/8' },
    proxy: undefined,
  },
  {
    name: 'NO_PROXY with another port',
    url: 'https://r.example:5000/',
    environment: { ...BOTH, NO_PROXY: 'r.example:443' },
    proxy: 'http://secure.proxy:3128',
  },
  {
    name: 'NO_PROXY with the port',
    url: 'https://r.example/',
    environment: { ...BOTH, no_proxy: 'r.example:443' },
    proxy: undefined,
  },
  {
    name: 'IPv6',
    url: 'https://[2001:db8::1]/',
    environment: { ...BOTH, NO_PROXY: '2001:db8::/32' },
    proxy: undefined,
  },
  { name: 'nothing set', url: 'https://r.example/', environment: {}, proxy: undefined },
];
for (const { name, url, environment, proxy } of ROWS) {
  test(`16.19 proxies: ${name}`, () => {
    assert.equal(proxyFor(new URL(url), environment), proxy);
  });
}
