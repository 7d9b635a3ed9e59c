import { join } from 'node:path';
import { systemClock, type Clock } from '../../base/clock.ts';
import { openFileStore } from '../../content/file-store.ts';
import { silentLogger } from '../../observe/logger.ts';
import { RegistryMetrics } from '../http/registry-metrics.ts';
import { openSqliteMetadata } from '../metadata/sqlite-metadata.ts';
import { UploadSessions } from '../upload-sessions.ts';
import { Administration } from './administration.ts';
import { Maintenance, type MaintenanceOptions } from './maintenance.ts';
import { RobotAdministration } from './robot-administration.ts';

/** What operators manage, apart from serving. */
export interface OpenAdministration {
  readonly admin: Administration;
  readonly robots: RobotAdministration;
  readonly maintenance: Maintenance;
  close(): Promise<void>;
}

/**
 * Opens a registry's directory to manage it, whether or not another process serves it meanwhile: what is changed here counts
 * there at once, and of two collections one waits. Damaged bytes go to `quarantine/` in the directory.
 */
export async function openAdministration(
  directory: string,
  options: { maintenance?: MaintenanceOptions; clock?: Clock } = {},
): Promise<OpenAdministration> {
  const clock = options.clock ?? systemClock;
  const store = await openFileStore(join(directory, 'content'));
  const metadata = openSqliteMetadata(join(directory, 'registry.db'), clock);
  const { uploads: index, blobs, projects } = metadata;
  const uploads = new UploadSessions({ store, uploads: index, blobs, projects, clock, keepOpenMs: 0 });
  const maintenance = new Maintenance(
    {
      store,
      metadata,
      uploads,
      metrics: new RegistryMetrics(),
      clock,
      logger: silentLogger,
      quarantineDirectory: join(directory, 'quarantine'),
    },
    options.maintenance ?? {},
  );
  return {
    admin: new Administration(metadata, clock),
    robots: new RobotAdministration(metadata.robots, metadata.audit, clock),
    maintenance,
    close: async () => {
      await uploads.close();
      metadata.close();
    },
  };
}
