"""Bugs between a method and the training loop: in taps, in what is trained beside a student, in who is asked what."""

import numpy as np

from minikd.distillation import scaled_logits, teacher
from minikd.distillation.scaled_logits import ScaledTeacher
from minikd.methods import curriculum_temperature, ensemble, features, logits, mutual, schedule
from minikd.nn import container
from minikd.training import History, run, telemetry
from minikd.training import loop as training
from minikd.training.objective import Answer, Term
from minikd.training.run import Run
from tests.mutants.planting import Mutant, attribute


def joined(mutate):
    """Return a plant in how a tap's gradient meets the one from above: mutate(i, dy, dtap)."""

    def replace(real):
        def join(i, dy, dtaps):
            return mutate(i, dy, dtaps[str(i)]) if str(i) in dtaps else real(i, dy, dtaps)

        return join

    return attribute(container, "with_tap", replace)


def total(mutate):
    """Return a plant in how terms are added up: mutate(found, terms, share) on the right total."""

    def replace(real):
        return lambda terms, z, share: mutate(real(terms, z, share), terms, share)

    return attribute(training, "add_up", replace)


def scaled(grads, factor):
    return {name: value * factor for name, value in grads.items()}


def own_gradient(mutate):
    """Return a plant in the objective's part of the flat gradient."""

    def replace(real):
        def flat(self, extra_grads):
            whole, size = real(self, extra_grads), self.model.size
            whole[size:] = mutate(whole[size:])
            return whole

        return flat

    return attribute(Run, "flat", replace)


def in_shards(real):
    def build(self, model, views, asked, plan):
        real(self, model, views, asked, plan)
        self.shards = plan.shards

    return build


def half_a_look(real):
    def add_to(total, shards):
        real(total, shards)
        total["looks"] += 0.5

    return add_to


def measuring_moves_a_weight(real):
    def on_step(self, run, taken):
        before = dict(run.position.telemetry)
        real(self, run, taken)
        if run.position.telemetry != before:
            run.vector[0] += 1e-3

    return on_step


def no_sum_of_shards(real):
    return lambda total, shards: real(total, shards[:1])


def unweighted(real):
    return lambda terms, share: real([term._replace(weight=1.0) for term in terms], share)


def by_place(real):
    def answer(self, batch):
        n = len(batch.index)
        return Answer(self.logits[:n], {name: value[:n] for name, value in self.taps.items()})

    return answer


def taps_by_place(real):
    def answer(self, batch):
        found = real(self, batch)
        return Answer(found.logits, {name: value[: len(batch.index)] for name, value in self.taps.items()})

    return answer


def live_in_training(real):
    def answer(self, batch):
        y, taps, _ = self.model.forward_with_taps(batch.images, self.layers, True, np.random.default_rng(0))
        return Answer(y, taps)

    return answer


def kept_in_training(real):
    def outputs_of(model, views, map_, layers=()):
        y, taps, _ = model.forward_with_taps(views.clean(), layers, True, np.random.default_rng(0))
        return y, taps

    return outputs_of


def never_training(real):
    def forward(self, x, names, training=False, rng=None):
        return real(self, x, names, False, rng)

    return forward


def mean_of_logits(real):
    return lambda answers, temperature: np.mean(answers, axis=0)


def at_temperature_one(real):
    return lambda answers, temperature: real(answers, 1.0)


def bare_like_others(real):
    """Images without a label get alpha, as if they had one."""

    def mixed(soft, z, v, labels, alpha):
        return Term("soft", alpha, *soft(z, v)), *logits.labels_term(1.0 - alpha, z, labels)

    return mixed


def mean_over_labelled(real):
    """The labels' term is a mean over those that have one, not over the batch."""

    def spread(part, rows, z):
        loss, gradient = real(part, rows, z)
        return loss * len(z) / len(rows), gradient * len(z) / len(rows)

    return spread


def descends(real):
    def call(self, *arguments):
        soft, *rest = real(self, *arguments)
        return soft._replace(grads=scaled(soft.grads, -1.0)), *rest

    return call


def peers_see_themselves(real):
    return lambda z, others: real(z, [*others, z])


def peers_without_labels(real):
    def call(self, *arguments):
        hard, soft = real(self, *arguments)
        return hard, soft._replace(grads=scaled(soft.grads, 0.0))

    return call


def weight_forgotten(real):
    def call(self, *arguments):
        return [term._replace(weight=1.0) if term.name == "feature" else term for term in real(self, *arguments)]

    return call


def at_full_weight(real):
    return lambda self, *asked: real(self, *asked[:-1], asked[-1]._replace(progress=1.0))


TAP = "identity: a tap joins the gradient from above"
FIRST = "identity: a tap on the first layer that is trained counts"
DESCENT = "identity: a step descends its loss by all that is trained"
LOOK, TOLD = "identity: looking changes nothing that is trained", "identity: telemetry is that of the whole batch"
KEPT = "identity: kept answers are those of the batchs samples"
EVALUATION = "identity: a teacher answers in evaluation mode"
SEVERAL = "identity: probabilities of several teachers are averaged"
BARE = "identity: an image without a label is the teachers alone"
PEERS = "identity: peers learn from the others"
SCHEDULE = "identity: the schedule of a run ends where it should"
SCALED = "identity: a confident teachers logits are scaled to the wanted uncertainty"
STAGE, WARM_UP = "identity: a second stage is a training of its own", "identity: the teachers term warms up"

MUTANTS = [
    Mutant("tap", "gradient dropped", joined(lambda i, dy, dtap: dy), TAP),
    Mutant("tap", "gradient added twice", joined(lambda i, dy, dtap: dy + 2 * dtap), TAP),
    Mutant("tap", "gradient in the place of the one from above", joined(lambda i, dy, dtap: dtap + 0 * dy), TAP),
    Mutant(
        "tap", "dropped at the layer that is trained first", joined(lambda i, dy, t: dy if i == 1 else dy + t), FIRST
    ),
    Mutant(
        "terms",
        "taps without their term's weight",
        total(
            lambda f, terms, s: f._replace(
                dtaps={name: value * s for term in terms for name, value in term.dtaps.items()}
            )
        ),
        DESCENT,
    ),
    Mutant(
        "terms",
        "taps without the shard's share",
        total(lambda f, _, s: f._replace(dtaps=scaled(f.dtaps, 1 / s))),
        DESCENT,
    ),
    Mutant(
        "terms",
        "own gradients without the shard's share",
        total(lambda f, _, s: f._replace(grads=scaled(f.grads, 1 / s))),
        DESCENT,
    ),
    Mutant("own", "not trained", own_gradient(lambda g: 0 * g), "identity: a regressor is trained"),
    Mutant("own", "gradient of the wrong sign", own_gradient(lambda g: -g), DESCENT),
    Mutant("own", "gradient in another order", own_gradient(lambda g: g[::-1]), DESCENT),
    Mutant(
        "own",
        "the model keeps the joint vector",
        attribute(Run, "release", lambda real: lambda self: None),
        "identity: the model has its own vector back",
    ),
    Mutant(
        "batch",
        "cut although the objective looks across it",
        attribute(Run, "__init__", in_shards),
        "identity: who looks across the batch gets it whole",
    ),
    Mutant("telemetry", "moves a weight", attribute(History, "on_step", measuring_moves_a_weight), LOOK),
    Mutant("telemetry", "counts a look twice", attribute(telemetry, "add_to", half_a_look), TOLD),
    Mutant("telemetry", "of the first shard alone", attribute(telemetry, "add_to", no_sum_of_shards), TOLD),
    Mutant("telemetry", "without the weights", attribute(telemetry, "sums_of", unweighted), TOLD),
    Mutant(
        "teacher", "kept logits by place in the batch", attribute(teacher.CachedTeacher, "__call__", by_place), KEPT
    ),
    Mutant("teacher", "kept features by place", attribute(teacher.CachedTeacher, "__call__", taps_by_place), KEPT),
    Mutant(
        "teacher", "live in training mode", attribute(teacher.LiveTeacher, "__call__", live_in_training), EVALUATION
    ),
    Mutant("teacher", "kept in training mode", attribute(teacher, "outputs_of", kept_in_training), EVALUATION),
    Mutant(
        "student",
        "left in evaluation mode",
        attribute(container.Sequential, "forward_with_taps", never_training),
        "identity: a student learns in training mode",
    ),
    Mutant("ensemble", "logits averaged", attribute(ensemble, "ensemble_logits", mean_of_logits), SEVERAL),
    Mutant(
        "ensemble",
        "averaged at another temperature",
        attribute(ensemble, "ensemble_logits", at_temperature_one),
        SEVERAL,
    ),
    Mutant("labels", "missing ones get alpha all the same", attribute(logits, "mixed", bare_like_others), BARE),
    Mutant(
        "labels", "a mean over those that are there", attribute(logits, "as_part_of_batch", mean_over_labelled), BARE
    ),
    Mutant(
        "curriculum",
        "descends",
        attribute(curriculum_temperature.CurriculumObjective, "terms", descends),
        "identity: the temperature climbs",
    ),
    Mutant(
        "mutual", "a student among its own peers", attribute(mutual, "mean_divergence", peers_see_themselves), PEERS
    ),
    Mutant("mutual", "peers stand still", attribute(mutual.MutualObjective, "terms", peers_without_labels), PEERS),
    Mutant(
        "feature",
        "weight forgotten",
        attribute(features.FeatureObjective, "terms", weight_forgotten),
        "identity: a hint is met with its weight",
    ),
    Mutant(
        "schedule",
        "the other way round",
        attribute(schedule, "value_at", lambda real: lambda a, b, *time: real(b, a, *time) if b is not None else a),
        SCHEDULE,
    ),
    Mutant(
        "schedule",
        "one step short",
        attribute(training, "Step", lambda real: lambda progress, rng: real(progress * 0.9, rng)),
        SCHEDULE,
    ),
    Mutant(
        "scaled logits",
        "as if the temperature were 1",
        attribute(scaled_logits, "uncertainty", lambda real: lambda logits, temperature: real(logits, 1.0)),
        SCALED,
    ),
    Mutant(
        "scaled logits",
        "the likeliest class is counted too",
        attribute(scaled_logits, "uncertainty", lambda real: lambda *given: 1 - real(*given)),
        SCALED,
    ),
    Mutant(
        "scaled logits",
        "an uncertain teacher is made confident",
        attribute(scaled_logits, "factor_for", lambda real: lambda *given: 2.0 if real(*given) == 1 else real(*given)),
        SCALED,
    ),
    Mutant(
        "scaled logits",
        "the answers stay as they are",
        attribute(ScaledTeacher, "__call__", lambda real: lambda self, batch: self.teacher(batch)),
        SCALED,
    ),
    Mutant("stage", "one training for both", attribute(run, "bisect_left", lambda real: lambda *_, key: 0), STAGE),
    Mutant("warm-up", "at full weight", attribute(logits.WeightedMethod, "terms", at_full_weight), WARM_UP),
]
