import { CriCallError } from './cri-connection.ts';

/** Waits for a call that takes something away; that it is gone already is no failure (rule 12.4). */
export async function ignoringAbsence(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof CriCallError && error.status === 'NotFound')) throw error;
  }
}
