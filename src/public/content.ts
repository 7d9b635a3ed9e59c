/** The content-addressed store: interfaces, the file system implementation, verified reading. */
export type * from '../content/store.ts';
export * from '../content/content-error.ts';
export * from '../content/file-store.ts';
export * from '../content/verified-reader.ts';
export * from '../content/write-content.ts';
