import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayShowCredential } from './realm.ts';

const ROWS: readonly { registry: string; realm: string; shown: boolean }[] = [
  { registry: 'https://registry-1.docker.io', realm: 'https://auth.docker.io/token', shown: true },
  { registry: 'https://registry.example.com', realm: 'https://registry.example.com/token', shown: true },
  {
    registry: 'https://registry.example.com:5000',
    realm: 'https://registry.example.com:5001/token',
    shown: true,
  },
  { registry: 'https://registry.gitlab.com', realm: 'https://gitlab.com/jwt/auth', shown: true },
  { registry: 'https://registry.firm.co.uk', realm: 'https://auth.firm.co.uk/token', shown: true },
  { registry: 'https://registry.firm.co.uk', realm: 'https://evil.co.uk/token', shown: false },
  { registry: 'https://registry.example.com', realm: 'https://evil.test/token', shown: false },
  {
    registry: 'https://registry.example.com',
    realm: 'https://registry.example.com.evil.net/token',
    shown: false,
  },
  { registry: 'https://registry.example.com', realm: 'https://notexample.com/token', shown: false },
  { registry: 'https://registry.example.com', realm: 'http://registry.example.com/token', shown: false },
  { registry: 'http://registry.example.com', realm: 'http://registry.example.com/token', shown: true },
  { registry: 'https://a.azurecr.io', realm: 'https://b.azurecr.io/oauth2/token', shown: false },
  { registry: 'https://a.azurecr.io', realm: 'https://a.azurecr.io/oauth2/token', shown: true },
  { registry: 'https://one.github.io', realm: 'https://two.github.io/token', shown: false },
  {
    registry: 'https://r.team-a.svc.cluster.local',
    realm: 'https://r.team-b.svc.cluster.local/token',
    shown: false,
  },
  { registry: 'https://10.0.0.1:5000', realm: 'https://10.0.0.1:5001/token', shown: true },
  { registry: 'https://10.0.0.1:5000', realm: 'https://10.0.0.2:5000/token', shown: false },
  { registry: 'http://127.0.0.1:5000', realm: 'http://localhost:5001/token', shown: true },
  { registry: 'https://[::1]:5000', realm: 'http://127.0.0.1:5001/token', shown: true },
  { registry: 'http://127.0.0.1:5000', realm: 'http://192.0.2.1/token', shown: false },
  { registry: 'https://registry', realm: 'https://auth', shown: false },
  { registry: 'https://registry.example.com', realm: 'ftp://registry.example.com/token', shown: false },
];
for (const { registry, realm, shown } of ROWS) {
  test(`17.15 a credential for ${registry} is ${shown ? '' : 'not '}shown to ${realm}`, () => {
    assert.equal(mayShowCredential(new URL(registry), new URL(realm)), shown);
  });
}
