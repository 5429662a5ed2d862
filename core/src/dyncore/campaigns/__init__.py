"""Campaigns: many runs that make one table, done over sittings and machines."""

from dyncore.campaigns._campaign import Campaign, Entry, Run
from dyncore.campaigns._result import Result
from dyncore.campaigns._status import State, Status, survey
from dyncore.campaigns._work import CampaignStopped, Work, duration
from dyncore.campaigns._workplace import Workplace

__all__ = [
    "Campaign",
    "CampaignStopped",
    "Entry",
    "Result",
    "Run",
    "State",
    "Status",
    "Work",
    "Workplace",
    "duration",
    "survey",
]
