"""The printed ablations: options that the predictors have, and one arm per combination of settings."""

import json

import pytest

from assets.reports.ablation_tables import ABLATIONS
from assets.reports.ablations import ablation_arms
from assets.reports.published import published_numbers
from assets.settings.variant import parse_variants
from models.predictor_table import CLASSES, predictor_class
from pipeline.settings import changed


@pytest.mark.parametrize("of", [name for name in ABLATIONS if name in CLASSES])
def test_every_row_is_a_variant_of_its_predictor_with_a_name_and_a_title_of_its_own(of):
    arms = ablation_arms(of, seeds=[0])
    variants = {name: fields for arm in arms for name, fields in arm.changes["model"]["variants"].items()}
    assert len(parse_variants(variants)) == sum(len(table.rows) for table in ABLATIONS[of])
    assert arms[0].changes["model"]["train"][0] == of, "the full model is trained beside its variants"
    assert all(of not in arm.changes["model"]["train"] for arm in arms[1:])


@pytest.mark.parametrize("of", [name for name in ABLATIONS if name in CLASSES])
def test_every_arm_has_settings_that_are_allowed(settings_of, of):
    for arm in ablation_arms(of, seeds=[0]):
        changed(settings_of(), arm.all_changes(settings_of().store_folder()))


def test_a_row_that_needs_other_neighbours_gets_a_store_of_its_own():
    by_name = {arm.name: arm for arm in ablation_arms("m3tr", seeds=[0, 1])}
    assert by_name["m3tr_notemporal"].changes["retrieval"] == {"similarity": "content"}
    assert by_name["m3tr_notemporal"].changes["model"]["train"] == ["m3tr_notemporal"]
    assert "retrieval" not in by_name["as_set"].changes
    assert json.dumps(by_name["as_set"].changes["model"]["seeds"]) == "[0, 1]"


def test_chosen_rows_are_run_beside_the_full_model():
    arms = ablation_arms("m3tr", seeds=[0], rows=["notemporal", " w/o text"])
    assert [arm.changes["model"]["train"] for arm in arms] == [["m3tr", "m3tr_w_o_text"], ["m3tr_notemporal"]]
    with pytest.raises(ValueError, match="no row of m3tr ends with 'w/o smell'; the rows are M3TR noTemporal, "):
        ablation_arms("m3tr", seeds=[0], rows=["w/o smell"])


def test_an_unknown_predictor_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no ablations of 'boosting'; allowed: m3tr"):
        ablation_arms("boosting", seeds=[0])


def test_most_titles_are_the_printed_names():
    printed = set(published_numbers()["model"])
    titles = [row.title for tables in ABLATIONS.values() for table in tables for row in table.rows]
    assert {"MMRA w/o Neg", "M3TR noTemporal", "DSN l=16", "MUFM noHP"} <= printed & set(titles)
    assert predictor_class("m3tr").title in printed
