import type { Environment } from '@marcbachmann/cel-js';
import { adderTo } from './_add-functions.ts';

/** What an expression asks whether somebody may do; a path, or a verb on a resource. */
export interface CelAttempt {
  /** `undefined`: whoever sent the request. */
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
  readonly verb: string;
  readonly path?: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
}

export interface CelDecision {
  readonly allowed: boolean;
  readonly reason: string;
}

export type Decide = (attempt: CelAttempt) => CelDecision;

const NOTHING: CelAttempt = { verb: '', group: '', resource: '', subresource: '', namespace: '', name: '' };

/** The variable `authorizer`, and each step of what is asked of it. */
class Check {
  readonly attempt: CelAttempt;
  readonly decide: Decide;

  constructor(decide: Decide, attempt: CelAttempt = NOTHING) {
    this.decide = decide;
    this.attempt = attempt;
  }

  with(part: Partial<CelAttempt>): CelAttempt {
    return { ...this.attempt, ...part };
  }
}

class AuthorizerValue extends Check {
  /** A check about the resource of the request itself. */
  readonly requestResource: unknown;

  constructor(decide: Decide, attempt: CelAttempt = NOTHING, requestResource?: unknown) {
    super(decide, attempt);
    this.requestResource = requestResource;
  }
}
class PathCheck extends Check {}
class GroupCheck extends Check {}
class ResourceCheck extends Check {}

class Decision {
  readonly allowed: boolean;
  readonly reason: string;

  constructor({ allowed, reason }: CelDecision) {
    this.allowed = allowed;
    this.reason = reason;
  }
}

/** Makes the value of the variable `authorizer`, with what `authorizer.requestResource` is. */
export function celAuthorizer(decide: Decide, requestResource?: object): object {
  return new AuthorizerValue(decide, NOTHING, requestResource);
}

/** Makes the value of `authorizer.requestResource`. */
export function celResourceCheck(decide: Decide, attempt: CelAttempt): object {
  return new ResourceCheck(decide, attempt);
}

/** Adds what can be asked of `authorizer`. */
export function addAuthorizer(env: Environment): void {
  const add = adderTo(env);
  const base = 'kubernetes.authorization';
  const [root, path, group, resource, decision] = [
    `${base}.Authorizer`,
    `${base}.PathCheck`,
    `${base}.GroupCheck`,
    `${base}.ResourceCheck`,
    `${base}.Decision`,
  ];
  env.registerType(root, { ctor: AuthorizerValue, fields: { requestResource: 'dyn' } });
  env.registerType(path, { ctor: PathCheck, fields: {} });
  env.registerType(group, { ctor: GroupCheck, fields: {} });
  env.registerType(resource, { ctor: ResourceCheck, fields: {} });
  env.registerType(decision, { ctor: Decision, fields: {} });
  add(
    `${root}.path(string): ${path}`,
    (on: Check, text: string) => new PathCheck(on.decide, on.with({ path: text })),
  );
  add(
    `${root}.group(string): ${group}`,
    (on: Check, text: string) => new GroupCheck(on.decide, on.with({ group: text })),
  );
  add(
    `${root}.serviceAccount(string, string): ${root}`,
    (on: Check, namespace: string, name: string) =>
      new AuthorizerValue(on.decide, on.with({ serviceAccount: { namespace, name } })),
  );
  add(
    `${group}.resource(string): ${resource}`,
    (on: Check, text: string) => new ResourceCheck(on.decide, on.with({ resource: text })),
  );
  for (const part of ['subresource', 'namespace', 'name'] as const) {
    add(
      `${resource}.${part}(string): ${resource}`,
      (on: Check, text: string) => new ResourceCheck(on.decide, on.with({ [part]: text })),
    );
  }
  for (const type of [path, resource]) {
    add(
      `${type}.check(string): ${decision}`,
      (on: Check, verb: string) => new Decision(on.decide(on.with({ verb }))),
    );
  }
  add(`${decision}.allowed(): bool`, (on: Decision) => on.allowed);
  add(`${decision}.reason(): string`, (on: Decision) => on.reason);
  add(`${decision}.errored(): bool`, () => false);
  add(`${decision}.error(): string`, () => '');
}
