export { MemoryRuntime } from '../../../test/support/image-manager-bench.ts';
