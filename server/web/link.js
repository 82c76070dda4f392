// The WebSocket: OSC both ways, opened again whenever it is lost, with the lease kept alive.

import { decode, encode } from "./osc.js";

const RENEW = 10000, LONGEST = 2000; // ms: the lease lasts 30 s; the longest pause between two tries

export class Link {
  /** onMessage(address, args), onState("open" | "lost"). */
  constructor(onMessage, onState) {
    Object.assign(this, { onMessage, onState, socket: null, pause: 100 });
    setInterval(() => this.send("/segue/notify"), RENEW);
    this.open();
  }

  open() {
    const socket = (this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.pause = 100;
      for (const address of ["/segue/notify", "/segue/subscribe", "/segue/waveform"]) this.send(address);
      this.onState("open");
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") return;
      try {
        for (const { address, args } of decode(data)) this.onMessage(address, args);
      } catch (error) {
        if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
      }
    };
    socket.onclose = () => {
      this.onState("lost");
      setTimeout(() => this.open(), this.pause);
      this.pause = Math.min(LONGEST, this.pause * 2);
    };
  }

  /** Whether it was sent: nothing is kept for later, since a verb that comes late is worse than none. */
  send(address, args = []) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(encode(address, args));
    return true;
  }
}
