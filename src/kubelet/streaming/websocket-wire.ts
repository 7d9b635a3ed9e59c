import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { asBuffer } from './websocket-session.ts';

/** Uses a WebSocket as a plain connection: the bytes of its messages, one after the other. */
export function websocketWire(socket: WebSocket): Duplex {
  const wire = new Duplex({
    read() {
      socket.resume();
    },
    write(chunk: Buffer, _encoding, callback) {
      if (socket.readyState === socket.OPEN) socket.send(chunk, (error) => callback(error ?? null));
      else callback();
    },
    final(callback) {
      socket.close(1000);
      callback();
    },
    destroy(error, callback) {
      if (socket.readyState === socket.OPEN) socket.close(1000);
      else if (socket.readyState !== socket.CLOSED) socket.terminate();
      callback(error);
    },
  });
  socket.on('message', (data) => {
    if (!wire.push(asBuffer(data))) socket.pause();
  });
  socket.on('error', () => socket.terminate());
  socket.once('close', () => {
    wire.push(null);
    wire.destroy();
  });
  return wire;
}
