/** What would happen to each image of an object, and why. */
export * from '../doctor/explain-image.ts';
export * from '../doctor/explain-object.ts';
export * from '../doctor/explain-sources.ts';
export type { Warning } from '../doctor/explain-warnings.ts';
