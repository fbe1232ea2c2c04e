import pytest

from minikd.data.split_names import parts_among, read_name

TRAINING = (
    "train,Train,TRAIN,training,Training,trains,train_set,train-set,train set,TrainSet,trainset,training_data,"
    "traindata,Training-Images,train images,train_800,train (800),01_train,train2017,training_samples,trainval,trn"
)
VALIDATION = "val,Val,VAL,valid,validation,Validation Set,val_set,valset,val2017,dev,devset,development,eval,evaluation"
TEST = (
    "test,Test,TEST,tests,testing,test_set,testset,test-images,testdata,TestImages,holdout,hold-out,held_out,test.200"
)
OTHER = "cat,detest,contest,terrain,constraint,evil,valve,device,0,a,train_test,test-train"


@pytest.mark.parametrize(
    ("names", "role"), [(TRAINING, "training"), (VALIDATION, "validation"), (TEST, "test")], ids=lambda x: x[:8]
)
def test_the_customary_names_of_parts_are_known_in_any_case(names, role):
    assert {name: read_name(name) for name in names.split(",")} == dict.fromkeys(names.split(","), (role, ()))


@pytest.mark.parametrize("name", OTHER.split(","))
def test_other_words_mean_no_part(name):
    assert read_name(name) is None


def test_a_name_that_says_more_counts_beside_one_that_says_the_same():
    assert parts_among(["seg_train", "seg_test", "seg_pred"]) == {"seg_train": "training", "seg_test": "test"}
    assert parts_among(["steam_train", "car", "crash_test"]) == {}
    assert parts_among(["train", "val", "cat"]) == {"train": "training", "val": "validation"}
