import { z } from 'zod';
import { ROLES } from '../identity/identity.ts';

/*
 * The registry's configuration file. Everything but `directory` has a default. Secrets are in files of their own, so that
 * this one can be shown and kept in version control.
 */

const role = z.enum(ROLES);
const path = z.string().min(1);
const port = z.int().min(0).max(65_535);

const upstream = z.strictObject({
  prefix: z.string().regex(/^[a-z0-9]+(?:[._-][a-z0-9]+)*$/, 'is no first part of a repository name'),
  registry: z.string().min(1),
  url: z.url({ protocol: /^https?$/ }).optional(),
  caFile: path.optional(),
  username: z.string().min(1).optional(),
  passwordFile: path.optional(),
  recheckSeconds: z.number().min(0).optional(),
});

const tokenIssuer = z.strictObject({
  issuer: z.string().min(1),
  audience: z.string().min(1),
  /** Either a file with a JSON Web Key Set, or where to fetch one. */
  keysFile: path.optional(),
  keysUrl: z.url({ protocol: /^https?$/ }).optional(),
  caFile: path.optional(),
  /** Bearer token for `keysUrl`, read again at each fetch. */
  tokenFile: path.optional(),
  rules: z
    .array(
      z.strictObject({
        namespace: z.string().min(1),
        serviceAccount: z.string().min(1).optional(),
        project: z.string().min(1),
        role,
      }),
    )
    .min(1),
});

const webhook = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]+$/, 'is not a name of letters, digits and dashes'),
  url: z.url({ protocol: /^https?$/ }),
  secretFile: path.optional(),
  events: z.array(z.enum(['push', 'delete', 'quota'])).optional(),
});

export const registryConfigSchema = z.strictObject({
  directory: path,
  listen: z
    .strictObject({ host: z.string().min(1).default('127.0.0.1'), port: port.default(5000) })
    .prefault({}),
  tls: z.strictObject({ certFile: path, keyFile: path }).optional(),
  publicUrl: z.url({ protocol: /^https?$/ }).optional(),
  serviceName: z
    .string()
    .regex(/^[A-Za-z0-9._-]+$/)
    .optional(),
  auth: z.enum(['required', 'none']).default('required'),
  htpasswd: z.strictObject({ file: path, role: role.optional() }).optional(),
  tokenIssuers: z.array(tokenIssuer).default([]),
  upstreams: z.array(upstream).default([]),
  webhooks: z.array(webhook).default([]),
  sparseIndexes: z.boolean().default(true),
  deletes: z.boolean().default(true),
  limits: z
    .strictObject({
      concurrentPerClient: z.int().min(1).optional(),
      closeGraceSeconds: z.number().min(0).optional(),
      /** Proxies in front, as addresses or networks: from them `X-Forwarded-For` and `X-Forwarded-Proto` are believed. */
      trustedProxies: z.array(z.string().min(1)).default([]),
    })
    .prefault({}),
  maintenance: z
    .strictObject({
      everyHours: z.number().min(0).optional(),
      delayHours: z.number().min(0.02).optional(),
      uploadAgeHours: z.number().min(1).optional(),
      auditDays: z.number().min(1).optional(),
      /** Clusters whose Pods and templates retention looks at first. */
      clusters: z
        .array(z.strictObject({ kubeconfig: path, context: z.string().min(1).optional() }))
        .default([]),
    })
    .prefault({}),
});

/** The configuration with its defaults filled in. */
export type RegistryConfig = z.output<typeof registryConfigSchema>;
