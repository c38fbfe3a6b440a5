// Sends calls with node-celery (protocol 1) and prints what came of each: the plan comes in on stdin.
const celery = require("node-celery");

const plan = JSON.parse(require("fs").readFileSync(0));
const client = celery.createClient({
  CELERY_BROKER_URL: plan.broker,
  CELERY_RESULT_BACKEND: plan.backend,
  CELERY_DEFAULT_QUEUE: plan.queue,
});
let open = plan.calls.length;

function answer(id, found) {
  console.log(JSON.stringify({ id, ...found }));
  open -= 1;
  if (!open) process.exit(0);
}

client.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
client.on("connect", () => {
  for (const call of plan.calls) {
    const result = client.call(call.task, call.args, call.kwargs, call.options || {});
    if (plan.results) {
      result.on("ready", (found) => answer(result.taskid, { status: found.status, value: found.result }));
    } else {
      // It has no promise of a publish: the socket is given a moment.
      setTimeout(() => answer(result.taskid, { sent: true }), 500);
    }
  }
});
