import { pipeline, type Readable, type Writable } from 'node:stream';
import { messageOf } from '../../base/coded-error.ts';
import type { ContainerSession } from '../../runtime/container-session.ts';
import type { SessionEnd, SessionStreams } from './session-streams.ts';

/**
 * Connects a session with whoever asked for it, until one of them ends.
 *
 * @param command what runs; undefined when somebody attaches, and then any end is a good one
 */
export async function serveSession(
  session: ContainerSession,
  streams: SessionStreams,
  command: readonly string[] | undefined,
): Promise<void> {
  streams.onResize((columns, rows) => session.resize(columns, rows));
  const input = streams.stdin;
  if (input !== undefined && session.stdin !== undefined) forward(input, session.stdin);
  else input?.resume();
  const outputs = [
    copied(session.stdout, streams.stdout),
    ...(session.stderr === undefined ? [] : [copied(session.stderr, streams.stderr)]),
  ];
  const gone = streams.gone.then(() => 'gone' as const);
  try {
    const end = await Promise.race([endOf(session, outputs, command), gone]);
    if (end === 'gone') return;
    await Promise.race([streams.finish(end), gone]);
  } finally {
    session.close();
  }
}

async function endOf(
  session: ContainerSession,
  outputs: readonly Promise<void>[],
  command: readonly string[] | undefined,
): Promise<SessionEnd> {
  try {
    const code = await session.exit;
    // What it said last must be there before the word that it has ended.
    await Promise.all(outputs);
    if (command === undefined || code === 0) return { kind: 'success' };
    return { kind: 'exit', code, command };
  } catch (error) {
    const doing = command === undefined ? 'attaching to container' : 'executing command in container';
    return { kind: 'error', message: `error ${doing}: ${messageOf(error)}` };
  }
}

/** Input may end early on either side without being a failure of the session. */
function forward(from: Readable, to: Writable): void {
  pipeline(from, to, () => {
    from.resume();
  });
}

/** Copies to the end without ending the target: the connection has other things to say. */
async function copied(from: Readable, to: Writable | undefined): Promise<void> {
  if (to === undefined) {
    from.resume();
    return;
  }
  await new Promise<void>((resolve) => {
    from.once('end', resolve);
    from.once('close', resolve);
    from.once('error', () => resolve());
    to.once('close', resolve);
    to.on('error', () => from.resume());
    from.pipe(to, { end: false });
  });
}
