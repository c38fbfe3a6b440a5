// Sends calls with celery-node and prints what came of each: the plan comes in on stdin.
const celery = require("celery-node");

async function main(plan) {
  const client = celery.createClient(plan.broker, plan.backend, plan.queue);
  client.conf.TASK_PROTOCOL = plan.protocol;
  const results = plan.calls.map((call) => client.createTask(call.task).applyAsync(call.args, call.kwargs));
  for (const result of results) {
    const answer = plan.results
      ? await result.get(20000, 20).then((value) => ({ value }), (error) => ({ error: error.message, ...error }))
      : { sent: true };
    console.log(JSON.stringify({ id: result.taskId, ...answer }));
  }
  // Without results it has no promise of a publish: the socket is given a moment.
  if (!plan.results) return new Promise((resolve) => setTimeout(resolve, 1000));
  await client.disconnect();
}

main(JSON.parse(require("fs").readFileSync(0))).then(() => process.exit(0));
