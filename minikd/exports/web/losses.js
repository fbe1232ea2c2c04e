// Softmax with temperature, and the distillation loss with its gradient with respect to the student's logits.

// p[k] = e^(z[k]/T) / sum over j of e^(z[j]/T), as logarithms, which stay exact if p is almost 0.
function logSoftmax(logits, T = 1) {
  const z = Array.from(logits, (v) => v / T);
  const top = Math.max(...z);
  const total = top + Math.log(z.reduce((sum, v) => sum + Math.exp(v - top), 0));
  return z.map((v) => v - total);
}

function softmax(logits, T = 1) {
  return logSoftmax(logits, T).map(Math.exp);
}

// L = alpha T² KL(teacher || student; T) + (1 - alpha) CE(student, label)
//
//   soft[k] = d(T² KL)/dz[k] = T (q[k] - p[k])     p the teacher, q the student, both softened by T
//   hard[k] = dCE/dz[k]      = q[k] - (k is the label)     q the student at T = 1
function distillationLoss(student, teacher, label, T, alpha) {
  const logp = logSoftmax(teacher, T);
  const logq = logSoftmax(student, T);
  const sure = logSoftmax(student);
  const kl = T * T * logp.reduce((sum, v, k) => sum + Math.exp(v) * (v - logq[k]), 0);
  const soft = logq.map((v, k) => T * (Math.exp(v) - Math.exp(logp[k])));
  const hard = sure.map((v, k) => Math.exp(v) - (k === label ? 1 : 0));
  const gradient = soft.map((v, k) => alpha * v + (1 - alpha) * hard[k]);
  return { kl, ce: -sure[label], loss: alpha * kl + (1 - alpha) * -sure[label], soft, hard, gradient };
}

function largest(values) {
  return values.reduce((best, v, k) => (v > values[best] ? k : best), 0);
}
