/**
 * Node's HTTP modules, got without `import`: an import of either reads all its exports, and one of those loads a second
 * HTTP client into every process, some 10 MB that nobody here uses.
 */
export const http = process.getBuiltinModule('node:http');
export const https = process.getBuiltinModule('node:https');
