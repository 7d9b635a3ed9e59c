import { join } from 'node:path';
import { Command } from 'commander';
import { backupDatabase, restoreDatabase } from '../apiserver/backup-store.ts';
import { defaultRootPath, openStateRoot } from '../daemon/state-root.ts';
import { withRoot } from './_options.ts';
import { EXIT } from './exit.ts';

interface ApiOptions {
  readonly root?: string;
}

/** `dray api backup|restore`. */
export function command(): Command {
  return new Command()
    .description('Copies the objects of the API that `dray up` serves away and back.')
    .addCommand(backup())
    .addCommand(restore());
}

function backup(): Command {
  return withRoot(
    new Command('backup').description('Writes all objects to a new file, also while `dray up` runs.'),
  )
    .argument('<file>', 'file to make')
    .action(async (file: string, options: ApiOptions) => {
      const { objects, revision } = await backupDatabase(databaseOf(options), file);
      process.stdout.write(`${objects} objects at resource version ${revision} written to ${file}\n`);
      process.exitCode = EXIT.ok;
    });
}

function restore(): Command {
  return withRoot(
    new Command('restore').description(
      'Puts the objects of a backup in the place of those that are there; `dray up` must not run. Clients that watch will list anew.',
    ),
  )
    .argument('<file>', 'file that `dray api backup` made')
    .action(async (file: string, options: ApiOptions) => {
      const database = databaseOf(options);
      const root = await openStateRoot(options.root ?? defaultRootPath(), 'dray api restore');
      try {
        const { objects } = await restoreDatabase(file, database);
        process.stdout.write(
          `${objects} objects restored; those from before lie in ${database}.before-restore\n`,
        );
      } finally {
        root.close();
      }
      process.exitCode = EXIT.ok;
    });
}

function databaseOf(options: ApiOptions): string {
  return join(options.root ?? defaultRootPath(), 'api.db');
}
