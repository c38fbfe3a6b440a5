// A celery-node worker: the plan comes in on stdin.
const celery = require("celery-node");

const plan = JSON.parse(require("fs").readFileSync(0));
const worker = celery.createWorker(plan.broker, plan.backend, plan.queue);
worker.register("interop.add", (x, y) => x + y);
worker.register("interop.echo", (...received) => {
  const kwargs = received.pop();
  return [received, kwargs];
});
worker.register("interop.fail", () => Promise.reject(new Error("boom")));
worker.start();
