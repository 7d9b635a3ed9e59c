import { collect } from '../../images/collect.ts';
import type { NodeStores } from '../node-stores.ts';
import type { Session } from './_session.ts';
import type { CallName, StoreCalls } from './store-calls.ts';

type Handlers = {
  readonly [N in CallName]: (
    stores: NodeStores,
    session: Session,
    ask: StoreCalls[N]['ask'],
    signal: AbortSignal,
  ) => Promise<StoreCalls[N]['answer']>;
};

const HANDLERS: Handlers = {
  'images.list': ({ images }) => images.list(),
  'images.find': async ({ images }, _session, { name }) => (await images.find(name)) ?? null,
  'images.names': ({ images }) => images.names(),
  'images.put': async ({ images }, _session, { image, names }) => {
    await images.put(image, names);
    return null;
  },
  'images.tag': async ({ images }, _session, { existing, name }) => {
    await images.tag(existing, name);
    return null;
  },
  'images.removeName': ({ images }, _session, { name }) => images.removeName(name),
  'images.removeImage': ({ images }, _session, { id }) => images.removeImage(id),
  'leases.make': async ({ images }, session, { reason }) => session.addLease(await images.lease(reason)),
  'leases.add': async (_stores, session, { lease, digest }) => {
    await session.lease(lease).add(digest);
    return null;
  },
  'leases.release': async (_stores, session, { lease }) => {
    await session.releaseLease(lease);
    return null;
  },
  'content.stat': ({ content }, _session, { digest }) => content.stat(digest),
  'ingests.open': async ({ content }, session, { ref, algorithm, wait }, signal) => {
    const ingest = await content.openIngest(ref, {
      ...(algorithm === undefined ? {} : { algorithm }),
      ...(wait ? { wait: signal } : {}),
    });
    return { id: await session.addIngest(ingest), offset: ingest.offset };
  },
  'ingests.truncate': async (_stores, session, { id, offset }) => {
    await session.withIngest(id, (ingest) => ingest.truncate(offset));
    return null;
  },
  'ingests.commit': (_stores, session, { id, ...expected }) =>
    session.withIngest(id, (ingest) => ingest.commit(expected)),
  'ingests.end': async (_stores, session, { id, keep }) => {
    await session.endIngest(id, keep);
    return null;
  },
  'pulls.credential': async (_stores, session, { id, credential }) => {
    await Promise.resolve();
    session.answerCredential(id, credential ?? undefined);
    return null;
  },
  'images.forecastGc': async (stores, _session, _ask, signal) =>
    (await stores.forecastImageGc?.(signal)) ?? null,
  collect: (stores, _session, options, signal) => collect(stores, options, signal),
};

export function isCallName(name: string | undefined): name is CallName {
  return name !== undefined && Object.hasOwn(HANDLERS, name);
}

/** Answers one call. The asking process runs this same program as this same user: what it asks is well-formed. */
export async function answerCall<N extends CallName>(
  stores: NodeStores,
  session: Session,
  name: N,
  ask: unknown,
  signal: AbortSignal,
): Promise<StoreCalls[N]['answer']> {
  return HANDLERS[name](stores, session, ask as StoreCalls[N]['ask'], signal);
}
